// The numbers of a profile that matter most, above the rows of a dataset; their places are there before they are.
import { Box, Button, Flex, Grid, Skeleton, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { count, ErrorCard, percent } from "@/ui";
import { leaksOf } from "./shape";
import type { AskedProfile } from "./useProfile";

const WARN = "fg.warning";
const HEIGHT = "74px";

export function ProfileFigures({ shown, make, isAsking }: AskedProfile) {
  const { t } = useTranslation();
  if (shown.state === "failed") return <ErrorCard error={shown.error} onRetry={make} />;
  if (shown.state === "none")
    return (
      <Frame>
        <Flex flex={1} align="center" gap={4} px={5} py={3} minH={HEIGHT} wrap="wrap">
          <Text flex="1 1 240px" color="fg.muted" textStyle="small">
            {t("data.noProfileHint")}
          </Text>
          <Button size="sm" variant="outline" loading={isAsking} onClick={make}>
            {t("data.makeProfile")}
          </Button>
        </Flex>
      </Frame>
    );
  const isWaiting = shown.state !== "made";
  const profile = shown.state === "made" ? shown.profile : null;
  const lengths = profile && (profile.tokens?.count ? profile.tokens : profile.characters);
  const unit = profile?.tokens?.count ? t("data.tokens") : t("data.characters");
  const leaks = profile && leaksOf(profile);
  const near = profile?.duplicates.near;
  const exact = profile?.duplicates.exact;
  const part = (one: { rows: number; share: number } | null | undefined) =>
    one ? { value: percent(one.share), hint: one.rows ? count(one.rows) : "", tone: one.rows ? WARN : undefined } : {};
  const [language, ...others] = Object.entries(profile?.languages.rows ?? {}).sort(([, one], [, other]) => other - one);
  return (
    <Box as="section" aria-label={t("data.profile")} aria-busy={isWaiting || undefined}>
      <Frame>
        <Grid
          as="dl"
          m={0}
          flex={1}
          templateColumns={{ base: "repeat(2, 1fr)", sm: "repeat(3, 1fr)", xl: "repeat(6, 1fr)" }}
        >
          <Stat name={t("data.median", { unit })} value={lengths && count(lengths.p50)} />
          <Stat
            name={t("data.languages")}
            value={profile && (language?.[0] ?? "–")}
            hint={others.length ? t("data.moreLanguages", { count: others.length }) : ""}
          />
          <Stat name={t("data.duplicates")} {...part(exact)} />
          <Stat name={t("data.near")} {...(profile && !near ? { value: "–" } : part(near))} />
          {leaks ? (
            <Stat name={t("data.leaks")} {...part(leaks)} />
          ) : (
            <Stat
              name={t("data.badRows")}
              value={profile && count(profile.bad.rows)}
              tone={profile?.bad.rows ? "fg.error" : undefined}
            />
          )}
          <Stat
            name={t("data.personal")}
            value={profile && count(profile.personal.rows)}
            tone={profile?.personal.rows ? WARN : undefined}
          />
        </Grid>
      </Frame>
      {isWaiting && shown.state !== "loading" && (
        <Text role="status" textStyle="caption" color="fg.muted" mt={2}>
          {t(shown.state === "running" ? "data.profiling" : "data.profileWaits")}{" "}
          {shown.run && (
            <Box asChild textDecoration="underline">
              <Link to="/jobs">{t("nav.jobs")}</Link>
            </Box>
          )}
        </Text>
      )}
    </Box>
  );
}

function Frame({ children }: { children: ReactNode }) {
  return (
    <Flex borderWidth="1px" borderColor="border" borderRadius="l3" bg="bg.panel" overflow="hidden">
      {children}
    </Flex>
  );
}

function Stat({ name, value, hint, tone }: { name: string; value?: ReactNode; hint?: string; tone?: string }) {
  const isKnown = value !== undefined && value !== null;
  return (
    <Flex direction="column" boxShadow="1px 1px 0 0 {colors.border.muted}" px={{ base: 4, md: 5 }} py={3} minW={0}>
      <Text as="dt" textStyle="caption" color="fg.muted" truncate title={name}>
        {name}
      </Text>
      <Flex as="dd" m={0} align="baseline" gap={2} h="28px">
        {isKnown ? (
          <>
            <Text textStyle="lead" fontWeight="600" color={tone} fontVariantNumeric="tabular-nums" lineHeight="28px">
              {value}
            </Text>
            {hint && (
              <Text textStyle="caption" color="fg.muted" truncate>
                {hint}
              </Text>
            )}
          </>
        ) : (
          <Skeleton height="12px" width="48px" borderRadius="l1" alignSelf="center" />
        )}
      </Flex>
    </Flex>
  );
}
