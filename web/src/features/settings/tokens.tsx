// Tokens of programs: made, shown once, removed. And a login for another browser.
import { Box, Button, Field, Flex, Input, NativeSelect, Text } from "@chakra-ui/react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import {
  Code,
  type Column,
  duration,
  EmptyState,
  ErrorCard,
  Rich,
  Rows,
  Section,
  SureButton,
  Table,
  tell,
  warn,
} from "@/ui";
import { useReturn } from "@/ui/focus";
import { isLoopback, newLogin, type Scope, type Token, tokensQuery, useTokens } from "./queries";

const SCOPES: readonly Scope[] = ["read", "run", "admin"];
const DAYS = [30, 90, 365, null] as const;

function NewToken({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const { add } = useTokens();
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("read");
  const [days, setDays] = useState<number | null>(90);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate({ name: name.trim(), scope, days });
  };
  if (add.data)
    return (
      <Box p={5} borderTopWidth="1px" borderColor="border.muted">
        <Text mb={3}>{t("settings.tokenOnce")}</Text>
        <Code label={add.data.name}>{add.data.token}</Code>
        <Button size="sm" mt={4} colorPalette="accent" onClick={onDone}>
          {t("settings.done")}
        </Button>
      </Box>
    );
  return (
    <Box p={5} borderTopWidth="1px" borderColor="border.muted">
      <form onSubmit={submit}>
        <Flex gap={3} wrap="wrap" align="flex-end">
          <Field.Root flex="2 1 160px">
            <Field.Label textStyle="small">{t("settings.tokenName")}</Field.Label>
            <Input size="sm" value={name} onChange={(event) => setName(event.target.value)} maxLength={64} autoFocus />
          </Field.Root>
          <Field.Root flex="1 1 140px">
            <Field.Label textStyle="small">{t("settings.scope")}</Field.Label>
            <NativeSelect.Root size="sm">
              <NativeSelect.Field value={scope} onChange={(event) => setScope(event.target.value as Scope)}>
                {SCOPES.map((one) => (
                  <option key={one} value={one}>
                    {t(`settings.scope_${one}`)}
                  </option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          </Field.Root>
          <Field.Root flex="1 1 120px">
            <Field.Label textStyle="small">{t("settings.expires")}</Field.Label>
            <NativeSelect.Root size="sm">
              <NativeSelect.Field
                value={days ?? ""}
                onChange={(event) => setDays(event.target.value ? Number(event.target.value) : null)}
              >
                {DAYS.map((one) => (
                  <option key={one} value={one ?? ""}>
                    {one === null ? t("settings.never") : t("settings.days", { count: one })}
                  </option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          </Field.Root>
          <Flex gap={2}>
            <Button size="sm" type="submit" colorPalette="accent" disabled={!name.trim()} loading={add.isPending}>
              {t("settings.make")}
            </Button>
            <Button size="sm" variant="ghost" onClick={onDone}>
              {t("settings.cancel")}
            </Button>
          </Flex>
        </Flex>
        {add.error && (
          <Box mt={4}>
            <ErrorCard error={add.error} />
          </Box>
        )}
      </form>
    </Box>
  );
}

export function Tokens() {
  const { t, i18n } = useTranslation();
  const { data, error, refetch } = useQuery(tokensQuery);
  const { remove } = useTokens();
  const [isNew, setIsNew] = useState(false);
  const opener = useReturn(isNew);
  const day = (text: string) => new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" }).format(new Date(text));
  const drop = (name: string) =>
    remove.mutate(name, {
      onSuccess: () => tell(t("settings.removed", { name })),
      onError: (problem) => warn(t("settings.notRemoved", { name }), problem),
    });
  const columns: Column<Token>[] = [
    {
      key: "name",
      title: t("settings.tokenName"),
      width: "minmax(0, 1fr)",
      cell: (token) => <Text truncate>{token.name}</Text>,
    },
    {
      key: "scope",
      title: t("settings.scope"),
      width: "minmax(0, 1fr)",
      cell: (token) => (token.scope ? t(`settings.scope_${token.scope}`) : "–"),
    },
    {
      key: "expires",
      title: t("settings.expires"),
      width: "minmax(0, 1fr)",
      wideOnly: true,
      cell: (token) => (
        <Text color={token.has_expired ? "fg.error" : "fg.muted"}>
          {token.expires ? day(token.expires) : t("settings.never")}
        </Text>
      ),
    },
    {
      key: "remove",
      title: "",
      width: "132px",
      align: "end",
      cell: (token) => (
        <SureButton size="xs" question={t("settings.removeNow", { name: token.name })} onSure={() => drop(token.name)}>
          {t("settings.remove")}
        </SureButton>
      ),
    },
  ];
  return (
    <Section
      flush
      title={t("settings.tokens")}
      description={t("settings.tokensHint")}
      actions={
        <Button ref={opener} size="xs" variant="outline" onClick={() => setIsNew(true)} disabled={isNew}>
          <Plus aria-hidden />
          {t("settings.newToken")}
        </Button>
      }
    >
      {error && !data ? (
        <Box p={5}>
          <ErrorCard error={error} onRetry={() => void refetch()} />
        </Box>
      ) : data ? (
        data.length > 0 && (
          <Table label={t("settings.tokens")} rows={data} columns={columns} keyOf={(token) => token.name} />
        )
      ) : (
        <Rows count={2} />
      )}
      {data?.length === 0 && !isNew && <EmptyState compact icon={KeyRound} title={t("settings.noTokens")} />}
      {isNew && <NewToken onDone={() => setIsNew(false)} />}
    </Section>
  );
}

export function OtherBrowser() {
  const { t } = useTranslation();
  const made = useMutation({ mutationFn: newLogin });
  return (
    <Section title={t("settings.browser")} description={t("settings.browserHint")}>
      {isLoopback(window.location.hostname) && (
        <Text color="fg.warning" textStyle="small" mb={3}>
          <Rich>{t("settings.loopback", { host: window.location.host })}</Rich>
        </Text>
      )}
      {made.data ? (
        <Code label={t("settings.browserOnce", { time: duration(made.data.seconds) })}>
          {`${window.location.origin}/login#token=${made.data.token}`}
        </Code>
      ) : (
        <Button size="sm" variant="outline" loading={made.isPending} onClick={() => made.mutate()}>
          {t("settings.browserMake")}
        </Button>
      )}
      {made.error && (
        <Box mt={4}>
          <ErrorCard error={made.error} />
        </Box>
      )}
    </Section>
  );
}
