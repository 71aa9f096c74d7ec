// The screen *Data*: what there is to train on, and where more is dropped.
import { Box, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Database } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type Dataset, datasetsQuery } from "@/features/data/queries";
import { Uploads } from "@/features/data/uploads";
import { Ago, bytes, type Column, count, EmptyState, ErrorCard, Page, Rows, Section, Table } from "@/ui";

const NOTHING = { tab: undefined, split: undefined, row: undefined };

export default function Data() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { data, error, refetch } = useQuery(datasetsQuery);
  const quiet = (value: string) => (
    <Text textStyle="small" color="fg.muted" truncate>
      {value}
    </Text>
  );
  const columns: Column<Dataset>[] = [
    {
      key: "name",
      title: t("data.name"),
      width: "minmax(0, 2fr)",
      cell: (row) => (
        <Text asChild fontWeight="500" truncate>
          <Link to="/data/$name" params={{ name: row.name }} search={NOTHING}>
            {row.name}
          </Link>
        </Text>
      ),
    },
    {
      key: "origin",
      title: t("data.origin"),
      width: "140px",
      wideOnly: true,
      cell: (row) => quiet(t(`data.origin_${row.origin}`)),
    },
    {
      key: "made",
      title: t("data.madeBy"),
      width: "minmax(0, 1fr)",
      wideOnly: true,
      cell: (row) => quiet(row.run ?? "–"),
    },
    {
      key: "size",
      title: t("data.size"),
      width: "96px",
      align: "end",
      cell: (row) =>
        quiet(
          typeof row.rows === "number"
            ? t("data.rowCount", { count: row.rows, rows: count(row.rows) })
            : row.bytes
              ? bytes(row.bytes)
              : "–",
        ),
    },
    {
      key: "created",
      title: t("data.created"),
      width: "104px",
      align: "end",
      wideOnly: true,
      cell: (row) => (
        <Box textStyle="small" color="fg.muted">
          <Ago at={row.created} />
        </Box>
      ),
    },
  ];
  return (
    <Page title={t("nav.data")} description={t("data.hint")}>
      <Uploads />
      {error && !data && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {!error && (
        <Section title={t("data.datasets")} flush>
          {data ? (
            <Table
              label={t("data.datasets")}
              rows={data.datasets}
              columns={columns}
              keyOf={(row) => row.name}
              onOpen={(row) => void navigate({ to: "/data/$name", params: { name: row.name }, search: NOTHING })}
              empty={
                <EmptyState icon={Database} title={t("data.none")} compact>
                  {t("data.noneHint")}
                </EmptyState>
              }
            />
          ) : (
            <Rows />
          )}
        </Section>
      )}
      {data && data.damaged.length > 0 && (
        <Text color="fg.warning">
          {t("data.damaged", { count: data.damaged.length, names: data.damaged.join(", ") })}
        </Text>
      )}
      {data && data.not_listed > 0 && <Text color="fg.muted">{t("data.notListed", { count: data.not_listed })}</Text>}
    </Page>
  );
}
