// One variable: its name, its help, whether and where it is set, and a field to change it. A secret is written, never shown.
import { Box, Button, Flex, Input, NativeSelect, Text } from "@chakra-ui/react";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { ErrorCard, Rich, SureButton, tell, warn } from "@/ui";
import { useReturn } from "@/ui/focus";
import { type Setting, useChangeSettings } from "./queries";

const FLAGS = ["1", "0"];

function State({ setting }: { setting: Setting }) {
  const { t } = useTranslation();
  const text = setting.is_set ? t(`settings.from_${setting.source ?? "file"}`) : t("settings.notSet");
  return (
    <Flex align="center" gap={2} color={setting.is_set ? "fg" : "fg.muted"} textStyle="small" minW={0}>
      <Box
        boxSize="7px"
        borderRadius="full"
        flexShrink={0}
        bg={setting.is_set ? "success.solid" : "border.emphasized"}
        aria-hidden
      />
      <Text truncate title={setting.value ?? undefined}>
        {setting.is_set && setting.kind !== "secret" && setting.value !== null ? (
          <Box as="span" fontFamily="mono">
            {setting.value}
          </Box>
        ) : (
          text
        )}
        {setting.is_set && setting.kind !== "secret" && (
          <Box as="span" color="fg.muted">
            {" "}
            · {text}
          </Box>
        )}
      </Text>
    </Flex>
  );
}

function Editor({ setting, onDone }: { setting: Setting; onDone: () => void }) {
  const { t } = useTranslation();
  const id = useId();
  const change = useChangeSettings();
  const [value, setValue] = useState(setting.kind === "secret" ? "" : (setting.value ?? ""));
  const choices = setting.kind === "flag" ? FLAGS : setting.choices;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate(
      { [setting.name]: value },
      {
        onSuccess: () => {
          tell(t("settings.saved", { name: setting.name }));
          onDone();
        },
      },
    );
  };
  return (
    <form onSubmit={submit}>
      <Flex gap={2} mt={3} wrap="wrap">
        <label htmlFor={id} hidden>
          {setting.name}
        </label>
        {choices.length ? (
          <NativeSelect.Root size="sm" flex="1 1 180px">
            <NativeSelect.Field id={id} autoFocus value={value} onChange={(event) => setValue(event.target.value)}>
              <option value="">{t("settings.choose")}</option>
              {choices.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        ) : (
          <Input
            id={id}
            size="sm"
            flex="1 1 220px"
            autoFocus
            autoComplete="off"
            spellCheck={false}
            fontFamily="mono"
            type={setting.kind === "secret" ? "password" : "text"}
            inputMode={setting.kind === "number" ? "numeric" : undefined}
            placeholder={setting.kind === "secret" ? t("settings.newSecret") : undefined}
            value={value}
            onChange={(event) => setValue(event.target.value)}
            onKeyDown={(event) => event.key === "Escape" && onDone()}
          />
        )}
        <Button size="sm" type="submit" colorPalette="accent" loading={change.isPending} disabled={!value}>
          {t("settings.save")}
        </Button>
        <Button size="sm" variant="ghost" onClick={onDone}>
          {t("settings.cancel")}
        </Button>
      </Flex>
      {change.error && (
        <Box mt={3}>
          <ErrorCard error={change.error} />
        </Box>
      )}
    </form>
  );
}

export function Variable({ setting }: { setting: Setting }) {
  const { t } = useTranslation();
  const [isOpen, setIsOpen] = useState(false);
  const opener = useReturn(isOpen);
  const change = useChangeSettings();
  const remove = () =>
    change.mutate(
      { [setting.name]: null },
      {
        onSuccess: () => tell(t("settings.removed", { name: setting.name })),
        onError: (error) => warn(t("settings.notRemoved", { name: setting.name }), error),
      },
    );
  return (
    <Box
      as="li"
      px={{ base: 4, md: 5 }}
      py={3.5}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
    >
      <Flex gap={3} align="flex-start" wrap={{ base: "wrap", md: "nowrap" }}>
        <Box flex="1 1 280px" minW={0}>
          <Text textStyle="code" fontWeight="600" overflowWrap="anywhere">
            {setting.name}
          </Text>
          <Text textStyle="small" color="fg.muted">
            <Rich>{setting.help}</Rich>
          </Text>
          {setting.problem && (
            <Text textStyle="small" color="fg.error">
              {setting.problem}
            </Text>
          )}
        </Box>
        <Flex w={{ base: "full", md: "300px" }} align="center" gap={1} justify="space-between">
          <State setting={setting} />
          {!isOpen && (
            <Flex gap={1} flexShrink={0}>
              {setting.in_file && (
                <SureButton
                  size="xs"
                  loading={change.isPending}
                  question={t("settings.removeNow", { name: setting.name })}
                  onSure={remove}
                >
                  {t("settings.remove")}
                </SureButton>
              )}
              <Button
                ref={opener}
                size="xs"
                variant="outline"
                aria-label={t(setting.in_file ? "settings.changeNamed" : "settings.setNamed", { name: setting.name })}
                onClick={() => setIsOpen(true)}
              >
                {setting.in_file ? t("settings.change") : t("settings.set")}
              </Button>
            </Flex>
          )}
        </Flex>
      </Flex>
      {isOpen && <Editor setting={setting} onDone={() => setIsOpen(false)} />}
    </Box>
  );
}
