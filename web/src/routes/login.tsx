// The way in: by the token in the address, or one that is pasted.
import { Box, Button, Field, Flex, Heading, Input, Text } from "@chakra-ui/react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "@/api/queries";
import { logIn, sessionQuery, tokenInAddress } from "@/api/session";
import { ErrorCard, Rich, useDocumentTitle } from "@/ui";

export default function Login() {
  const { t } = useTranslation();
  const { next } = useSearch({ from: "/login" });
  const navigate = useNavigate();
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const tried = useRef(false);
  useDocumentTitle(t("session.title"));

  const enter = async (given: string) => {
    setBusy(true);
    setError(null);
    try {
      queries.setQueryData(sessionQuery.queryKey, await logIn(given.trim()));
      await navigate({ href: next?.startsWith("/") && !next.startsWith("//") ? next : "/", replace: true });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the address is read once
  useEffect(() => {
    if (tried.current) return;
    tried.current = true;
    const given = tokenInAddress();
    if (given) void enter(given);
  }, []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void enter(token);
  };

  return (
    <Flex as="main" minH="100dvh" align="center" justify="center" p={4}>
      <Box w="full" maxW="380px">
        <Flex align="center" gap={2.5} mb={8} fontWeight="650" letterSpacing="-0.02em" fontSize="16px">
          <img src="/mark.svg" alt="" width={24} height={24} />
          burnish
        </Flex>
        <Heading as="h1" textStyle="heading">
          {t("session.title")}
        </Heading>
        <Text color="fg.muted" mt={1} mb={6}>
          <Rich>{t("session.hint")}</Rich>
        </Text>
        <form onSubmit={submit}>
          <Field.Root>
            <Field.Label textStyle="small">{t("session.token")}</Field.Label>
            <Input
              value={token}
              onChange={(event) => setToken(event.target.value)}
              autoComplete="off"
              spellCheck={false}
              fontFamily="mono"
              autoFocus
            />
          </Field.Root>
          <Button
            type="submit"
            mt={4}
            w="full"
            size="sm"
            colorPalette="accent"
            loading={busy}
            loadingText={t("session.checking")}
            disabled={!token.trim()}
          >
            {t("session.logIn")}
          </Button>
        </form>
        {error !== null && (
          <Box mt={6}>
            <ErrorCard error={error} />
          </Box>
        )}
      </Box>
    </Flex>
  );
}
