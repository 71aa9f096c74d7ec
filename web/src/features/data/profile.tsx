// What is known of the rows of a dataset: columns, lengths, languages, duplicates, leaks, personal data, topics.
import { Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ChartNoAxesColumn, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "@/api/client";
import { Block, count, EmptyState, ErrorCard, percent, Rich, Section, StatusBadge, warn } from "@/ui";
import { Histogram, Shares } from "@/ui/bars";
import { type DatasetDetail, profileQuery } from "./queries";

interface Lengths {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
  histogram?: [number, number, number][];
}

interface Group {
  rows: number;
  share: number;
  groups?: number;
}

/** What the stage `profile` writes, as far as it is shown. */
interface Profile {
  rows: number;
  splits: Record<string, number>;
  bad: { rows: number; first: { source: string; field: string; reason: string }[] };
  kinds: Record<string, number>;
  characters: Lengths;
  turns: Lengths;
  tokens?: Lengths;
  learned?: Lengths;
  languages: { sample: number; rows: Record<string, number> };
  duplicates: { exact: Group; near?: Group & { similarity: number } };
  leakage: Record<string, { exact?: Group; near?: Group; rows?: number }>;
  personal: { rows: number; share: number; kinds: Record<string, number> };
  licences: Record<string, number>;
  topics?: { clusters: { rows: number; share: number; terms: string[] }[] };
  warnings: string[];
}

export function ProfileView({ name, detail }: { name: string; detail: DatasetDetail | undefined }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery(profileQuery(name));
  const [asking, setAsking] = useState(false);
  const make = async () => {
    setAsking(true);
    try {
      const made = await answer(
        api.POST("/api/v1/datasets/{name}/profile", { params: { path: { name } }, body: { settings: {} } }),
      );
      queries.setQueryData(profileQuery(name).queryKey, made);
    } catch (problem) {
      warn(t("data.notProfiled"), problem);
    } finally {
      setAsking(false);
    }
  };
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  if (!data) return <Block height={360} />;
  const profile = data.profile as Profile | null;
  return (
    <Flex direction="column" gap={5}>
      {detail && detail.columns.length > 0 && <Columns detail={detail} />}
      {data.error && <ErrorCard error={new Error(String(data.error.what ?? ""))} onRetry={() => void make()} />}
      {profile ? (
        <Shown profile={profile} />
      ) : ["queued", "running"].includes(data.state) ? (
        <Section>
          <Flex direction="column" align="center" gap={2} py={8}>
            <StatusBadge state={data.state} />
            <Text color="fg.muted">{t("data.profiling")}</Text>
          </Flex>
        </Section>
      ) : (
        <Section>
          <EmptyState
            icon={ChartNoAxesColumn}
            title={t("data.noProfile")}
            compact
            action={
              <Button size="sm" colorPalette="accent" loading={asking} onClick={() => void make()}>
                {t("data.makeProfile")}
              </Button>
            }
          >
            {t("data.noProfileHint")}
          </EmptyState>
        </Section>
      )}
    </Flex>
  );
}

function Columns({ detail }: { detail: DatasetDetail }) {
  const { t } = useTranslation();
  const text = (value: unknown) => (typeof value === "number" ? count(value) : String(value ?? "–"));
  return (
    <Section
      title={t("data.columns")}
      description={detail.layout.format ? `${detail.layout.format}: ${detail.layout.reason}` : undefined}
    >
      <Box overflowX="auto">
        <Box
          as="table"
          w="full"
          textStyle="small"
          css={{ "& th, & td": { textAlign: "start", padding: "6px 16px 6px 0", whiteSpace: "nowrap" } }}
        >
          <Box as="thead" color="fg.muted">
            <tr>
              <th>{t("data.column")}</th>
              <th>{t("data.types")}</th>
              <th>{t("data.missing")}</th>
              <th>{t("data.empty")}</th>
              <th>{t("data.distinct")}</th>
            </tr>
          </Box>
          <tbody>
            {detail.columns.map((column) => (
              <tr key={String(column.name)}>
                <Box as="td" fontFamily="mono">
                  {String(column.name)}
                </Box>
                <td>{Object.keys((column.types as object | undefined) ?? {}).join(", ")}</td>
                <td>{text(column.missing)}</td>
                <td>{text(column.empty)}</td>
                <td>{text(column.distinct)}</td>
              </tr>
            ))}
          </tbody>
        </Box>
      </Box>
    </Section>
  );
}

function Shown({ profile }: { profile: Profile }) {
  const { t } = useTranslation();
  const lengths = profile.tokens?.count ? profile.tokens : profile.characters;
  const unit = profile.tokens?.count ? t("data.tokens") : t("data.characters");
  const { exact, near } = profile.duplicates;
  const leaks = Object.entries(profile.leakage);
  return (
    <>
      {profile.warnings.map((warning) => (
        <Flex key={warning} gap={2} color="fg.warning" textStyle="small">
          <Box pt="3px">
            <TriangleAlert size={14} aria-hidden />
          </Box>
          <Rich>{warning}</Rich>
        </Flex>
      ))}
      <Grid templateColumns="repeat(auto-fit, minmax(140px, 1fr))" gap={4}>
        <Stat name={t("data.rows")} value={count(profile.rows)} />
        <Stat name={t("data.median", { unit })} value={count(lengths.p50)} />
        <Stat name={t("data.duplicates")} value={percent(exact.share)} tone={exact.rows ? "fg.warning" : undefined} />
        {near && <Stat name={t("data.near")} value={percent(near.share)} tone={near.rows ? "fg.warning" : undefined} />}
        <Stat
          name={t("data.badRows")}
          value={count(profile.bad.rows)}
          tone={profile.bad.rows ? "fg.error" : undefined}
        />
        <Stat
          name={t("data.personal")}
          value={count(profile.personal.rows)}
          tone={profile.personal.rows ? "fg.warning" : undefined}
        />
      </Grid>
      <Grid templateColumns={{ base: "minmax(0, 1fr)", md: "repeat(2, minmax(0, 1fr))" }} gap={5}>
        <Section
          title={t("data.lengths", { unit })}
          description={t("data.lengthsOf", {
            p90: count(lengths.p90),
            p99: count(lengths.p99),
            max: count(lengths.max),
          })}
        >
          <Histogram
            label={t("data.lengths", { unit })}
            bins={(lengths.histogram ?? []).map(([from, to, rows]) => ({ from, to, count: rows }))}
          />
        </Section>
        <Section title={t("data.turns")}>
          <Histogram
            label={t("data.turns")}
            bins={(profile.turns.histogram ?? []).map(([from, to, rows]) => ({ from, to, count: rows }))}
          />
        </Section>
        <Section title={t("data.languages")}>
          <Shares counts={profile.languages.rows} />
        </Section>
        <Section title={t("data.splits")}>
          <Shares counts={profile.splits} />
        </Section>
        {leaks.length > 0 && (
          <Section title={t("data.leaks")} description={t("data.leaksHint")}>
            <Shares
              counts={Object.fromEntries(
                leaks.map(([split, leak]) => [split, (leak.exact?.rows ?? 0) + (leak.near?.rows ?? leak.rows ?? 0)]),
              )}
            />
          </Section>
        )}
        {profile.topics && profile.topics.clusters.length > 0 && (
          <Section title={t("data.topics")}>
            <Shares
              counts={Object.fromEntries(
                profile.topics.clusters.map((one) => [one.terms.slice(0, 4).join(", "), one.rows]),
              )}
            />
          </Section>
        )}
        {profile.personal.rows > 0 && (
          <Section title={t("data.personal")}>
            <Shares counts={profile.personal.kinds} />
          </Section>
        )}
      </Grid>
      {profile.bad.first.length > 0 && (
        <Section title={t("data.badRows")}>
          {profile.bad.first.map((one) => (
            <Box key={one.source} py={2} borderTopWidth="1px" borderColor="border.muted" _first={{ borderTopWidth: 0 }}>
              <Text fontFamily="mono" fontSize="12.5px">
                {one.source}
              </Text>
              <Text textStyle="small" color="fg.muted" overflowWrap="anywhere">
                {[one.field, one.reason].filter(Boolean).join(": ")}
              </Text>
            </Box>
          ))}
        </Section>
      )}
    </>
  );
}

function Stat({ name, value, tone }: { name: string; value: string; tone?: string }) {
  return (
    <Box borderWidth="1px" borderColor="border" borderRadius="l3" bg="bg.panel" px={4} py={3}>
      <Text textStyle="caption" color="fg.muted" truncate title={name}>
        {name}
      </Text>
      <Text textStyle="heading" color={tone} fontVariantNumeric="tabular-nums">
        {value}
      </Text>
    </Box>
  );
}
