// The browsers that are logged in, each of which can be logged out.
import { Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Ago, type Column, ErrorCard, Rows, Section, SureButton, Table, tell, warn } from "@/ui";
import { type OpenSession, sessionsQuery, useEndSession } from "./queries";

const seconds = (text: string) => Date.parse(text) / 1000;

export function Sessions() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(sessionsQuery);
  const end = useEndSession();
  const drop = (id: string) =>
    end.mutate(id, {
      onSuccess: () => tell(t("settings.ended")),
      onError: (problem) => warn(t("settings.notEnded"), problem),
    });
  const columns: Column<OpenSession>[] = [
    {
      key: "name",
      title: t("settings.tokenName"),
      width: "minmax(0, 1fr)",
      cell: (one) => (
        <Text truncate fontWeight={one.is_this ? "500" : undefined}>
          {one.is_this ? t("settings.thisBrowser") : one.name}
        </Text>
      ),
    },
    {
      key: "made",
      title: t("settings.loggedIn"),
      width: "minmax(0, 1fr)",
      cell: (one) => <Ago at={seconds(one.made)} />,
    },
    {
      key: "expires",
      title: t("settings.expires"),
      width: "minmax(0, 1fr)",
      wideOnly: true,
      cell: (one) => <Ago at={seconds(one.expires)} />,
    },
    {
      key: "end",
      title: "",
      width: "132px",
      align: "end",
      cell: (one) =>
        !one.is_this && (
          <SureButton size="xs" question={t("settings.endNow")} onSure={() => drop(one.id)}>
            {t("settings.end")}
          </SureButton>
        ),
    },
  ];
  return (
    <Section flush title={t("settings.sessions")} description={t("settings.sessionsHint")}>
      {error && !data && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {!data && !error && <Rows count={1} />}
      {data && <Table label={t("settings.sessions")} rows={data} columns={columns} keyOf={(one) => one.id} />}
    </Section>
  );
}
