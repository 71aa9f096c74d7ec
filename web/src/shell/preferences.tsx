// Theme and language at the foot of the menu, one press each; Settings has them with their names.
import { Button, Flex, IconButton } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useTranslation } from "react-i18next";
import { queries } from "@/api/queries";
import { logOut } from "@/api/session";
import { type Mode, setMode, useMode } from "@/theme/mode";
import { chooseLanguage } from "@/ui/language";
import { warn } from "@/ui/toast";

const MODES = { system: Monitor, light: Sun, dark: Moon } as const;
const AFTER: Record<Mode, Mode> = { system: "light", light: "dark", dark: "system" };

export function Preferences() {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const mode = useMode();
  const Icon = MODES[mode];
  const theme = `${t("nav.theme")}: ${t(`nav.theme_${mode}`)}`;
  const other = i18n.language === "en" ? "zh-CN" : "en";
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
    <Flex mt={2} pt={2} gap={1} align="center" borderTopWidth="1px" borderColor="border.muted" color="fg.muted">
      <IconButton
        size="xs"
        variant="ghost"
        color="inherit"
        aria-label={theme}
        title={theme}
        onClick={() => setMode(AFTER[mode])}
      >
        <Icon />
      </IconButton>
      <Button
        size="xs"
        variant="ghost"
        color="inherit"
        fontWeight="normal"
        lang={other}
        onClick={() => chooseLanguage(other)}
      >
        {other === "en" ? "English" : "中文"}
      </Button>
      <IconButton
        size="xs"
        variant="ghost"
        color="inherit"
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
