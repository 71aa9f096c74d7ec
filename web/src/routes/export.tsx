// The screen *Export and serve*: models as files, with their certificate, and how they are served and asked.
import { Badge, Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Download, PackageOpen } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { CertificateBadge, CertificateCard } from "@/features/models/certificate";
import { type Artifact, chosen, exportsQuery } from "@/features/models/queries";
import { Served, ServeHere } from "@/features/models/served";
import { archivePath } from "@/features/run/api";
import {
  Ago,
  bytes,
  Code,
  type Column,
  EmptyState,
  ErrorCard,
  KeyValue,
  Page,
  Rows,
  Section,
  Segments,
  Table,
} from "@/ui";

const LIST_HEIGHT = "320px";
const MAKE = ["merge", "gguf", "quantize", "export"] as const;

export default function Export() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { ref } = useSearch({ from: "/shell/export" });
  const { data, error, refetch } = useQuery(exportsQuery);
  const shown = chosen(data?.artifacts, ref);
  const columns: Column<Artifact>[] = [
    {
      key: "ref",
      title: t("data.name"),
      width: "minmax(0, 1fr)",
      cell: (row) => (
        <Text fontWeight="500" truncate>
          {row.ref}
        </Text>
      ),
    },
    {
      key: "kind",
      title: t("models.form"),
      width: "120px",
      wideOnly: true,
      cell: (row) => (
        <Badge variant="subtle" colorPalette="gray">
          {row.stage === row.kind ? row.kind : `${row.kind} · ${row.stage}`}
        </Badge>
      ),
    },
    {
      key: "certificate",
      title: t("models.certificate"),
      width: "132px",
      cell: (row) => <CertificateBadge certificate={row.certificate} />,
    },
    {
      key: "bytes",
      title: t("data.size"),
      width: "80px",
      wideOnly: true,
      align: "end",
      cell: (row) => (
        <Text textStyle="small" color="fg.muted">
          {bytes(row.bytes)}
        </Text>
      ),
    },
    {
      key: "created",
      title: t("data.created"),
      width: "96px",
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
    <Page
      title={t("models.exportTitle")}
      description={t("models.exportHint")}
      actions={MAKE.map((stage) => (
        <Button asChild key={stage} size="sm" variant="outline">
          <Link to="/new" search={{ stage }}>
            {t(`models.make_${stage}`)}
          </Link>
        </Button>
      ))}
    >
      <Served />
      {error && !data && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {!error && (
        <Section title={t("models.exports")} flush>
          {data ? (
            <Table
              label={t("models.exports")}
              rows={data.artifacts}
              columns={columns}
              height={LIST_HEIGHT}
              keyOf={(row) => row.run}
              isCurrent={(row) => row === shown}
              onOpen={(row) => void navigate({ to: "/export", search: { ref: row.ref }, resetScroll: false })}
              empty={
                <EmptyState icon={PackageOpen} title={t("models.noExports")} compact>
                  {t("models.noExportsHint")}
                </EmptyState>
              }
            />
          ) : (
            <Rows count={3} />
          )}
        </Section>
      )}
      {data && ref && !shown && (
        <Section flush>
          <EmptyState compact icon={PackageOpen} title={t("models.noSuchExport", { ref })}>
            {t("models.noSuchHint")}
          </EmptyState>
        </Section>
      )}
      {shown && <Shown key={shown.ref} artifact={shown} />}
    </Page>
  );
}

const WAYS = ["serve", "curl", "python"] as const;
type Way = (typeof WAYS)[number];

function Shown({ artifact }: { artifact: Artifact }) {
  const { t } = useTranslation();
  const [way, setWay] = useState<Way>("serve");
  const [recipe = "", number = "", step = ""] = artifact.run.split("/");
  const texts: Record<Way, string> = {
    serve: `burnish serve ${artifact.ref}`,
    curl: `curl http://127.0.0.1:8000/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -d '{"model": "${artifact.ref}", "messages": [{"role": "user", "content": "Hello"}]}'`,
    python: `from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
answer = client.chat.completions.create(
    model="${artifact.ref}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
  };
  return (
    <Grid templateColumns={{ base: "minmax(0, 1fr)", lg: "repeat(2, minmax(0, 1fr))" }} gap={5} alignItems="start">
      <Section title={artifact.ref}>
        <KeyValue
          nameWidth="120px"
          pairs={[
            {
              name: t("data.size"),
              value: `${bytes(artifact.bytes)} · ${t("models.files", { count: artifact.files })}`,
            },
            { name: t("models.licence"), value: artifact.licence },
            {
              name: t("data.madeBy"),
              value: (
                <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: undefined }}>
                  {artifact.run}
                </Link>
              ),
            },
            ...(artifact.registered.length
              ? [{ name: t("models.registry"), value: artifact.registered.join(", ") }]
              : []),
          ]}
        />
        <Flex direction="column" gap={2} mt={5}>
          <Segments
            label={t("models.use")}
            options={WAYS.map((one) => ({ value: one, label: t(`models.way_${one}`) }))}
            value={way}
            onChange={(next) => setWay(next as Way)}
          />
          <Code label={t(`models.way_${way}`)}>{texts[way]}</Code>
        </Flex>
        <Flex gap={2} mt={4} wrap="wrap">
          <ServeHere model={artifact.ref} />
          <Button asChild size="sm" variant="outline" title={t("run.downloadAllHint")}>
            <a href={archivePath({ recipe, number, step })} download>
              <Download size={14} aria-hidden />
              {t("run.downloadAll")}
            </a>
          </Button>
          <Button asChild size="sm" variant="outline">
            <Link to="/playground" search={{ models: artifact.ref, chat: undefined }}>
              {t("models.ask")}
            </Link>
          </Button>
        </Flex>
      </Section>
      <Section title={t("models.certificate")}>
        {artifact.certificate ? (
          <CertificateCard certificate={artifact.certificate} />
        ) : (
          <Text color="fg.muted">{t("models.noCertificate")}</Text>
        )}
      </Section>
    </Grid>
  );
}
