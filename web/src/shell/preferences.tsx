// Theme and language, at the foot of the menu.
import { Flex, IconButton, Menu, Portal } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { Languages, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useTranslation } from "react-i18next";
import { queries } from "@/api/queries";
import { logOut } from "@/api/session";
import { LANGUAGES, type Language, setLanguage } from "@/i18n";
import { type Mode, setMode, useMode } from "@/theme/mode";
import { warn } from "@/ui/toast";

const MODES = { system: Monitor, light: Sun, dark: Moon } as const;
const MODE_KEYS = { system: "nav.themeSystem", light: "nav.themeLight", dark: "nav.themeDark" } as const;

export function Preferences() {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const mode = useMode();
  const Icon = MODES[mode];
  const leave = async () => {
    try {
      await logOut();
      queries.clear();
      await navigate({ to: "/login", search: { next: undefined } });
    } catch (error) {
      warn(t("problem.unexpected"), error);
    }
  };
  return (
    <Flex mt={2} pt={2} gap={1} borderTopWidth="1px" borderColor="border.muted">
      <Menu.Root positioning={{ placement: "top-start" }}>
        <Menu.Trigger asChild>
          <IconButton size="xs" variant="ghost" color="fg.muted" aria-label={t("nav.theme")} title={t("nav.theme")}>
            <Icon />
          </IconButton>
        </Menu.Trigger>
        <Portal>
          <Menu.Positioner>
            <Menu.Content>
              <Menu.RadioItemGroup value={mode} onValueChange={(chosen) => setMode(chosen.value as Mode)}>
                {(Object.keys(MODES) as Mode[]).map((one) => (
                  <Menu.RadioItem key={one} value={one}>
                    <Menu.ItemIndicator />
                    {t(MODE_KEYS[one])}
                  </Menu.RadioItem>
                ))}
              </Menu.RadioItemGroup>
            </Menu.Content>
          </Menu.Positioner>
        </Portal>
      </Menu.Root>
      <Menu.Root positioning={{ placement: "top-start" }}>
        <Menu.Trigger asChild>
          <IconButton
            size="xs"
            variant="ghost"
            color="fg.muted"
            aria-label={t("nav.language")}
            title={t("nav.language")}
          >
            <Languages />
          </IconButton>
        </Menu.Trigger>
        <Portal>
          <Menu.Positioner>
            <Menu.Content>
              <Menu.RadioItemGroup
                value={i18n.language}
                onValueChange={(chosen) => void setLanguage(chosen.value as Language)}
              >
                {Object.entries(LANGUAGES).map(([key, name]) => (
                  <Menu.RadioItem key={key} value={key} lang={key}>
                    <Menu.ItemIndicator />
                    {name}
                  </Menu.RadioItem>
                ))}
              </Menu.RadioItemGroup>
            </Menu.Content>
          </Menu.Positioner>
        </Portal>
      </Menu.Root>
      <IconButton
        size="xs"
        variant="ghost"
        color="fg.muted"
        ms="auto"
        aria-label={t("nav.logOut")}
        title={t("nav.logOut")}
        onClick={leave}
      >
        <LogOut />
      </IconButton>
    </Flex>
  );
}
