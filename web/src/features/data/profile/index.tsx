// What is known of the rows of a dataset: columns, lengths, languages, duplicates, leaks, personal data, topics.
import { Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { ChartNoAxesColumn, ShieldCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Block, count, EmptyState, measure, percent, Rich, Section } from "@/ui";
import { Histogram, Shares } from "@/ui/bars";
import type { DatasetDetail } from "../queries";
import { type Group, LEAK_KINDS, type Leak, type Member, type Profile, rowsBy } from "./shape";
import type { AskedProfile } from "./useProfile";

export { ProfileFigures } from "./figures";
export { useProfile } from "./useProfile";

export interface ProfileViewProps extends AskedProfile {
  detail: DatasetDetail;
}

export function ProfileView({ detail, shown, make, isAsking }: ProfileViewProps) {
  const { t } = useTranslation();
  return (
    <Flex direction="column" gap={5}>
      {detail.columns.length > 0 && <Columns detail={detail} />}
      {shown.state === "made" ? (
        <Shown profile={shown.profile} />
      ) : shown.state === "none" ? (
        <Section>
          <EmptyState
            icon={ChartNoAxesColumn}
            title={t("data.noProfile")}
            compact
            action={
              <Button size="sm" colorPalette="accent" loading={isAsking} onClick={make}>
                {t("data.makeProfile")}
              </Button>
            }
          >
            {t("data.noProfileHint")}
          </EmptyState>
        </Section>
      ) : (
        shown.state !== "failed" && (
          <Grid templateColumns={{ base: "minmax(0, 1fr)", md: "repeat(2, minmax(0, 1fr))" }} gap={5}>
            <Block height={196} />
            <Block height={196} />
            <Block height={140} />
            <Block height={140} />
          </Grid>
        )
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
  const bins = (histogram: [number, number, number][] = []) =>
    histogram.map(([from, to, rows]) => ({ from, to, count: rows }));
  return (
    <>
      {profile.warnings.length > 0 && (
        <Flex as="ul" direction="column" gap={2} m={0} p={0} listStyleType="none">
          {profile.warnings.map((warning) => (
            <Flex as="li" key={warning} gap={2} textStyle="small">
              <Box pt="3px" color="fg.warning" flexShrink={0}>
                <TriangleAlert size={14} aria-hidden />
              </Box>
              <Text minW={0} overflowWrap="anywhere">
                <Rich>{warning}</Rich>
              </Text>
            </Flex>
          ))}
        </Flex>
      )}
      <Grid
        templateColumns={{ base: "minmax(0, 1fr)", md: "repeat(2, minmax(0, 1fr))" }}
        gap={5}
        alignItems={{ md: "start" }}
      >
        <Flex direction="column" gap={5} minW={0}>
          <Section
            title={t("data.lengths", { unit })}
            description={t("data.lengthsOf", {
              p90: count(lengths.p90),
              p99: count(lengths.p99),
              max: count(lengths.max),
            })}
          >
            <Histogram label={t("data.lengths", { unit })} bins={bins(lengths.histogram)} />
          </Section>
          <Section
            title={t("data.languages")}
            description={t("data.sampleOf", { rows: count(profile.languages.sample), all: count(profile.rows) })}
          >
            <Shares counts={profile.languages.rows} />
          </Section>
          {profile.personal.rows > 0 && (
            <Section title={t("data.personal")} description={<Rich>{t("data.personalHint")}</Rich>}>
              <Shares counts={rowsBy(profile.personal.kinds)} />
            </Section>
          )}
        </Flex>
        <Flex direction="column" gap={5} minW={0}>
          <Section
            title={t("data.turns")}
            description={t("data.turnsOf", { mean: measure(profile.turns.mean), max: count(profile.turns.max) })}
          >
            <Histogram label={t("data.turns")} bins={bins(profile.turns.histogram)} />
          </Section>
          {profile.topics && profile.topics.clusters.length > 0 && (
            <Section title={t("data.topics")}>
              <Shares
                counts={Object.fromEntries(
                  profile.topics.clusters.map((one) => [one.terms.slice(0, 4).join(", "), one.rows]),
                )}
              />
            </Section>
          )}
          {Object.keys(profile.splits).length > 1 && (
            <Section title={t("data.splits")}>
              <Shares counts={profile.splits} />
            </Section>
          )}
        </Flex>
      </Grid>
      <Repeats title={t("data.repeats")} exact={exact} near={near} />
      {Object.keys(profile.leakage).length > 0 && <Leaks leakage={profile.leakage} />}
      {profile.bad.first.length > 0 && (
        <Section
          title={t("data.badRows")}
          description={
            profile.bad.rows > profile.bad.first.length
              ? t("data.firstOf", { shown: count(profile.bad.first.length), all: count(profile.bad.rows) })
              : undefined
          }
          flush
        >
          {profile.bad.first.map((one) => (
            <Excerpt key={one.source} source={one.source} text={one.raw ?? ""}>
              <Text as="span" color="fg.error">
                {[one.field, one.reason].filter(Boolean).join(": ")}
              </Text>
            </Excerpt>
          ))}
        </Section>
      )}
    </>
  );
}

/** Rows that are there more than once: how many, and the largest groups. */
function Repeats({ title, exact, near }: { title: string; exact: Group; near: Group | undefined }) {
  const { t } = useTranslation();
  const groups = [
    ...exact.largest.map((one) => ({ ...one, what: t("data.copiesOf", { count: one.rows }) })),
    ...(near?.largest ?? []).map((one) => ({ ...one, what: t("data.alike", { count: one.rows }) })),
  ];
  return (
    <Section
      title={title}
      description={t("data.repeatsOf", { exact: count(exact.rows), near: near ? count(near.rows) : "–" })}
      flush
    >
      {groups.length === 0 ? (
        <Fine>{t("data.noRepeats")}</Fine>
      ) : (
        groups.slice(0, 6).map(({ what, members: [first] }) =>
          first ? (
            <Excerpt key={what + first.source} source={first.source} text={first.text}>
              <Text as="span" color="fg.muted">
                {what}
              </Text>
            </Excerpt>
          ) : null,
        )
      )}
    </Section>
  );
}

function Leaks({ leakage }: { leakage: Record<string, Leak> }) {
  const { t } = useTranslation();
  const splits = Object.entries(leakage);
  const examples = splits.flatMap(([split, leak]) => leak.examples.map((one) => ({ ...one, split })));
  return (
    <Section title={t("data.leaks")} description={t("data.leaksHint")} flush>
      {splits.map(([split, leak]) => (
        <Flex key={split} px={{ base: 4, md: 5 }} py={3} gap={4} align="baseline" wrap="wrap" textStyle="small">
          <Text fontWeight="500" minW="96px">
            {split}
          </Text>
          <Text color={leak.share > 0 ? "fg.warning" : "fg.muted"} fontVariantNumeric="tabular-nums">
            {t("data.leakShare", { share: percent(leak.share), rows: count(leak.rows) })}
          </Text>
          <Text color="fg.muted" fontVariantNumeric="tabular-nums">
            {LEAK_KINDS.filter((kind) => leak[kind])
              .map((kind) => `${t(`data.leak_${kind}`)}: ${count(leak[kind] ?? 0)}`)
              .join(" · ")}
          </Text>
        </Flex>
      ))}
      {examples.length === 0 && <Fine>{t("data.noLeaks")}</Fine>}
      {examples.slice(0, 6).map((one) => (
        <Excerpt key={one.split + one.source + one.kind} source={one.source} text={one.text}>
          <Text as="span" color="fg.muted">
            {one.split} · {t(`data.leak_${one.kind}`)}
          </Text>
        </Excerpt>
      ))}
    </Section>
  );
}

function Fine({ children }: { children: ReactNode }) {
  return (
    <Flex px={{ base: 4, md: 5 }} py={4} gap={2} align="center" color="fg.muted" textStyle="small">
      <Box color="success.fg">
        <ShieldCheck size={15} aria-hidden />
      </Box>
      {children}
    </Flex>
  );
}

function Excerpt({ source, text, children }: Pick<Member, "source" | "text"> & { children: ReactNode }) {
  return (
    <Box
      px={{ base: 4, md: 5 }}
      py={3}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
      textStyle="small"
    >
      <Flex gap={3} rowGap={0} wrap="wrap" align="baseline">
        <Text fontFamily="mono" fontSize="12.5px">
          {source}
        </Text>
        {children}
      </Flex>
      {text && (
        <Text color="fg.muted" lineClamp={2} overflowWrap="anywhere">
          {text}
        </Text>
      )}
    </Box>
  );
}
