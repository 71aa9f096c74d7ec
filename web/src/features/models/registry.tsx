// The registry: named versions, and of one its evidence, licences, hashes, history and lineage.

import { Badge, Box, Button, Flex, Grid, Input, Text } from "@chakra-ui/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Blocks, Check, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { measureName } from "@/i18n/names";
import {
  Ago,
  bytes,
  type Column,
  Copy,
  EmptyState,
  ErrorCard,
  KeyValue,
  Lines,
  measure,
  Rich,
  Rows,
  Section,
  Table,
  tell,
  warn,
} from "@/ui";
import { LineageTree } from "./lineage";
import { artifactsQuery, type Kind, lineageQuery, partsOf, type Version, versionQuery, versionsQuery } from "./queries";

/** What speaks for a version: a proof, a certificate, scores, the verdict of a comparison. */
interface Evidence {
  kind: "proof" | "certificate" | "score" | "verdict";
  run: string;
  state: string;
  found: string;
}

const TONES: Record<string, string> = {
  production: "success",
  staging: "accent",
  candidate: "gray",
  retired: "warning",
};

export function Registry({ kind, chosen, onChoose }: { kind: Kind; chosen?: string; onChoose: (ref: string) => void }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(versionsQuery(kind));
  const columns: Column<Version>[] = [
    {
      key: "ref",
      title: t("data.name"),
      width: "minmax(0, 1fr)",
      cell: (row) => (
        <Text fontWeight="500" truncate color={row.damage ? "fg.error" : undefined}>
          {row.ref}
        </Text>
      ),
    },
    {
      key: "stage",
      title: t("models.stage"),
      width: "104px",
      cell: (row) => (
        <Badge variant="subtle" colorPalette={TONES[row.stage] ?? "gray"}>
          {t(`models.stage_${row.stage}`)}
        </Badge>
      ),
    },
    {
      key: "base",
      title: t("models.base"),
      width: "minmax(0, 1fr)",
      wideOnly: true,
      cell: (row) => (
        <Text textStyle="small" color="fg.muted" truncate>
          {typeof row.base?.ref === "string" ? row.base.ref : "–"}
        </Text>
      ),
    },
    {
      key: "at",
      title: t("data.created"),
      width: "96px",
      align: "end",
      wideOnly: true,
      cell: (row) => (
        <Box textStyle="small" color="fg.muted">
          <Ago at={row.at} />
        </Box>
      ),
    },
  ];
  const shown = chosen ?? data?.versions[0]?.ref;
  return (
    <Flex direction="column" gap={5}>
      {error && !data && <ErrorCard error={error} onRetry={() => void refetch()} />}
      <Section title={t("models.versions")} flush>
        {data ? (
          <Table
            label={t("models.versions")}
            rows={data.versions}
            columns={columns}
            height="320px"
            keyOf={(row) => row.ref}
            isCurrent={(row) => row.ref === shown}
            onOpen={(row) => onChoose(row.ref)}
            empty={
              <EmptyState
                icon={Blocks}
                title={t("models.noVersions")}
                compact
                action={
                  <Button asChild size="sm" variant="outline">
                    <Link to="/new">{t("nav.new")}</Link>
                  </Button>
                }
              >
                <Rich>{t("models.noVersionsHint")}</Rich>
              </EmptyState>
            }
          />
        ) : (
          !error && <Rows count={3} />
        )}
      </Section>
      {data?.notes.map((note) => (
        <Text key={note} color="fg.warning" textStyle="small">
          {note}
        </Text>
      ))}
      {shown && <Detail key={shown} kind={kind} of={shown} />}
      <Unregistered kind={kind} />
    </Flex>
  );
}

function Detail({ kind, of }: { kind: Kind; of: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { name, version } = partsOf(of);
  const { data, error, refetch } = useQuery(versionQuery(kind, name, version));
  const lineage = useQuery(lineageQuery(of));
  const [because, setBecause] = useState("");
  const [busy, setBusy] = useState(false);
  const move = async (verb: "promote" | "demote") => {
    setBusy(true);
    try {
      const made = await send<Version>("POST", `/api/v1/${kind}s/${name}/${version}/${verb}`, { because });
      setBecause("");
      tell(t("models.moved", { ref: of, stage: t(`models.stage_${made.stage}`) }));
      await queries.invalidateQueries({ queryKey: ["registry"] });
    } catch (problem) {
      warn(t("models.notMoved"), problem);
    } finally {
      setBusy(false);
    }
  };
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  if (!data) return <Lines count={6} />;
  const evidence = data.evidence as unknown as Evidence[];
  const measures = Object.entries(data.measures).filter(([, value]) => typeof value === "number");
  return (
    <Grid templateColumns={{ base: "minmax(0, 1fr)", lg: "repeat(2, minmax(0, 1fr))" }} gap={5} alignItems="start">
      <Section
        title={data.ref}
        actions={
          <Badge variant="subtle" colorPalette={TONES[data.stage] ?? "gray"}>
            {t(`models.stage_${data.stage}`)}
          </Badge>
        }
      >
        <KeyValue
          nameWidth="120px"
          pairs={[
            { name: t("models.by"), value: data.who },
            { name: t("models.why"), value: data.why || "–" },
            { name: t("models.base"), value: typeof data.base?.ref === "string" ? data.base.ref : "–" },
            {
              name: t("models.licence"),
              value: data.licence.length ? data.licence.map((one) => <Text key={one}>{one}</Text>) : "–",
            },
            {
              name: t("models.hash"),
              value: (
                <Flex align="center" gap={1} fontFamily="mono" fontSize="12.5px">
                  {data.fingerprint.slice(0, 16)}…
                  <Copy value={data.fingerprint} />
                </Flex>
              ),
            },
            ...(data.damage ? [{ name: t("models.damage"), value: <Text color="fg.error">{data.damage}</Text> }] : []),
          ]}
        />
        <Flex mt={4} gap={2} wrap="wrap" align="center">
          <Input
            size="sm"
            flex="1 1 160px"
            value={because}
            aria-label={t("models.because")}
            placeholder={t("models.because")}
            onChange={(event) => setBecause(event.target.value)}
          />
          <Button
            size="sm"
            colorPalette="accent"
            loading={busy}
            disabled={data.stage === "production"}
            onClick={() => void move("promote")}
          >
            {t("models.promote")}
          </Button>
          <Button
            size="sm"
            variant="outline"
            disabled={busy || data.stage === "retired"}
            onClick={() => void move("demote")}
          >
            {t("models.demote")}
          </Button>
        </Flex>
        {data.missing.map((one) => (
          <Text key={one} textStyle="small" color="fg.warning" mt={2}>
            {one}
          </Text>
        ))}
      </Section>
      <Section title={t("models.lineage")}>
        {lineage.data ? (
          <LineageTree node={lineage.data} />
        ) : lineage.error ? (
          <ErrorCard error={lineage.error} />
        ) : (
          <Lines count={5} />
        )}
      </Section>
      {evidence.length > 0 && (
        <Section title={t("models.evidence")} description={t("models.evidenceHint")}>
          {evidence.map((one) => {
            const [recipe = "", number = "", step] = one.run.split("/");
            return (
              <Flex
                key={`${one.kind}-${one.run}`}
                gap={3}
                py={2}
                borderTopWidth="1px"
                borderColor="border.muted"
                _first={{ borderTopWidth: 0, pt: 0 }}
              >
                <Box color={one.state === "passed" ? "fg.success" : "fg.error"} pt="3px" flexShrink={0}>
                  {one.state === "passed" ? (
                    <Check size={14} aria-label={one.state} />
                  ) : (
                    <X size={14} aria-label={one.state} />
                  )}
                </Box>
                <Box minW={0} flex={1}>
                  <Flex gap={2} align="baseline" wrap="wrap">
                    <Text fontWeight="500">{t(`models.evidence_${one.kind}`)}</Text>
                    <Text textStyle="small" color="fg.muted" truncate>
                      <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: undefined }}>
                        {one.run}
                      </Link>
                    </Text>
                  </Flex>
                  <Text textStyle="small" color="fg.muted" overflowWrap="anywhere" lineClamp={3}>
                    {one.found}
                  </Text>
                </Box>
              </Flex>
            );
          })}
        </Section>
      )}
      {measures.length > 0 && (
        <Section title={t("models.measures")}>
          <KeyValue
            nameWidth="160px"
            pairs={measures.map(([key, value]) => ({ name: measureName(key), value: measure(value) }))}
          />
        </Section>
      )}
      <Section title={t("models.history")}>
        {data.history.map((one) => (
          <Flex
            key={`${String(one.at)}${String(one.what ?? one.event ?? "")}`}
            gap={3}
            py={1.5}
            textStyle="small"
            borderTopWidth="1px"
            borderColor="border.muted"
            _first={{ borderTopWidth: 0 }}
          >
            <Box color="fg.muted" w="104px" flexShrink={0}>
              {typeof one.at === "number" ? <Ago at={one.at} /> : ""}
            </Box>
            <Text overflowWrap="anywhere">
              {[one.what ?? one.event ?? one.action ?? one.change, one.to ?? one.stage, one.why, one.who]
                .filter((part) => typeof part === "string" && part)
                .join(" · ")}
            </Text>
          </Flex>
        ))}
      </Section>
    </Grid>
  );
}

/** What steps have made and no name has yet. */
function Unregistered({ kind }: { kind: Kind }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery(artifactsQuery(kind));
  const [names, setNames] = useState<Record<string, string>>({});
  const left = (data?.artifacts ?? []).filter((one) => one.registered.length === 0);
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  if (left.length === 0) return null;
  const register = async (ref: string) => {
    try {
      const made = await send<Version>("POST", `/api/v1/${kind}s`, { ref, name: names[ref] ?? ref.split(".")[0] });
      tell(t("models.registered", { ref: made.ref }));
      await Promise.all([
        queries.invalidateQueries({ queryKey: ["registry"] }),
        queries.invalidateQueries({ queryKey: ["artifacts"] }),
      ]);
    } catch (problem) {
      warn(t("models.notRegistered"), problem);
    }
  };
  return (
    <Section title={t("models.unregistered")} description={t("models.unregisteredHint")} flush>
      {left.map((one) => (
        <Flex
          key={one.ref}
          px={5}
          py={2.5}
          gap={3}
          align="center"
          wrap="wrap"
          borderTopWidth="1px"
          borderColor="border.muted"
        >
          <Box flex="1 1 180px" minW={0}>
            <Text fontWeight="500" truncate>
              {one.ref}
            </Text>
            <Text textStyle="caption" color="fg.muted">
              {one.stage} · {bytes(one.bytes)} · <Ago at={one.created} />
            </Text>
          </Box>
          <Input
            size="sm"
            w="160px"
            aria-label={t("models.nameFor", { ref: one.ref })}
            value={names[one.ref] ?? one.ref.split(".")[0] ?? ""}
            onChange={(event) => setNames({ ...names, [one.ref]: event.target.value })}
          />
          <Button size="sm" variant="outline" onClick={() => void register(one.ref)}>
            {t("models.register")}
          </Button>
        </Flex>
      ))}
    </Section>
  );
}
