// What was checked, and what was found: the proof of a training, and the certificate of what it made.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, CircleMinus, ShieldCheck, ShieldX } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState, measure, Rows, Section } from "@/ui";
import { useVerdict } from "@/ui/verdict";
import { type Check, proofQuery } from "../api";
import type { TabProps } from ".";

const HOLDS = "holds";
const NOT_APPLICABLE = "does not apply";

export default function Proofs({ name, step }: TabProps) {
  const { t } = useTranslation();
  const [showsAll, setShowsAll] = useState(false);
  const found = useQuery({
    ...proofQuery({ ...name, step: step.step }),
    enabled: (step.shown?.checks.length ?? 0) > 0,
    retry: false,
  });
  const proof = found.data;
  const checks = proof?.checks ?? step.shown?.checks ?? [];
  const certificate = step.shown?.certificate ?? null;
  if (checks.length === 0 && !certificate)
    return (
      <EmptyState icon={ShieldCheck} title={t("run.noProof")}>
        {t("run.noProofHint")}
      </EmptyState>
    );
  const order = (check: Check) => (check.verdict === HOLDS ? 1 : check.verdict === NOT_APPLICABLE ? 2 : 0);
  const sorted = [...checks].sort((one, other) => order(one) - order(other));
  const apply = sorted.filter((check) => check.verdict !== NOT_APPLICABLE);
  const hidden = sorted.length - apply.length;
  const failed = apply.filter((check) => check.verdict !== HOLDS).length;
  return (
    <Flex direction="column" gap={{ base: 5, md: 6 }}>
      {certificate && <Certificate certificate={certificate} />}
      {checks.length > 0 && (
        <Section
          title={
            <Flex as="span" align="center" gap={2}>
              <Box color={failed ? "danger.fg" : "success.fg"}>
                {failed ? <ShieldX size={16} aria-hidden /> : <ShieldCheck size={16} aria-hidden />}
              </Box>
              {failed ? t("run.checksFailed", { count: failed }) : t("run.checksHold", { count: apply.length })}
            </Flex>
          }
          description={proof?.sample && t("run.checkedOn", { sample: proof.sample })}
          flush
          actions={
            hidden > 0 && (
              <Button
                size="xs"
                variant="ghost"
                color="fg.muted"
                aria-expanded={showsAll}
                onClick={() => setShowsAll(!showsAll)}
              >
                {showsAll ? t("run.hideOthers") : t("run.showOthers", { count: hidden })}
              </Button>
            )
          }
        >
          {found.isLoading && checks.length === 0 && <Rows count={8} />}
          {(showsAll ? sorted : apply).map((check, at) => (
            <CheckRow key={check.name} check={check} isFirst={at === 0} />
          ))}
        </Section>
      )}
    </Flex>
  );
}

function CheckRow({ check, isFirst }: { check: Check; isFirst: boolean }) {
  const verdictOf = useVerdict();
  const { t } = useTranslation();
  const holds = check.verdict === HOLDS;
  const applies = check.verdict !== NOT_APPLICABLE;
  const Icon = holds ? CircleCheck : applies ? CircleAlert : CircleMinus;
  return (
    <Flex
      gap={3}
      px={{ base: 4, md: 5 }}
      py={3}
      borderTopWidth={isFirst ? 0 : "1px"}
      borderColor="border.muted"
      align="flex-start"
    >
      <Box color={holds ? "success.fg" : applies ? "danger.fg" : "fg.subtle"} mt="3px" flexShrink={0}>
        <Icon size={15} aria-label={verdictOf(check.verdict)} />
      </Box>
      <Box flex={1} minW={0}>
        <Text color={applies ? undefined : "fg.muted"}>{check.question || check.name}</Text>
        <Text textStyle="small" color="fg.muted" overflowWrap="anywhere">
          {check.found}
        </Text>
        {check.fix && (
          <Text textStyle="small" mt={1}>
            <Text as="span" fontWeight="600">
              {t("problem.fix")}{" "}
            </Text>
            {check.fix}
          </Text>
        )}
      </Box>
      {check.limit && (
        <Text textStyle="caption" color="fg.muted" hideBelow="sm" mt="3px" maxW="40%" textAlign="end">
          {t("run.limit", { limit: check.limit })}
        </Text>
      )}
      {typeof check.measured === "number" && (
        <Text
          textStyle="caption"
          color="fg.muted"
          whiteSpace="nowrap"
          fontVariantNumeric="tabular-nums"
          hideBelow="sm"
          mt="3px"
        >
          {measure(check.measured)}
          {typeof check.allowed === "number" && ` ≤ ${measure(check.allowed)}`}
        </Text>
      )}
    </Flex>
  );
}

interface Certified {
  change?: string;
  parent?: { ref?: string; fingerprint?: string };
  holds?: boolean;
  checks?: Check[];
}

/** What was changed, that it is still the same model, and how that was measured. */
function Certificate({ certificate }: { certificate: Certified }) {
  const { t } = useTranslation();
  const [showsAll, setShowsAll] = useState(false);
  const checks = certificate.checks ?? [];
  const apply = checks.filter((check) => check.verdict !== NOT_APPLICABLE);
  const holds = certificate.holds !== false;
  const hidden = checks.length - apply.length;
  return (
    <Section
      title={
        <Flex as="span" align="center" gap={2}>
          <Box color={holds ? "success.fg" : "danger.fg"}>
            {holds ? <ShieldCheck size={16} aria-hidden /> : <ShieldX size={16} aria-hidden />}
          </Box>
          {t(holds ? "run.certificate" : "run.certificateFailed")}
        </Flex>
      }
      description={t("run.certificateOf", {
        change: certificate.change ?? "",
        parent: certificate.parent?.ref ?? "",
        count: apply.length,
      })}
      flush
      actions={
        hidden > 0 && (
          <Button
            size="xs"
            variant="ghost"
            color="fg.muted"
            aria-expanded={showsAll}
            onClick={() => setShowsAll(!showsAll)}
          >
            {showsAll ? t("run.hideOthers") : t("run.showOthers", { count: hidden })}
          </Button>
        )
      }
    >
      {(showsAll ? checks : apply).map((check, at) => (
        <CheckRow key={check.name} check={check} isFirst={at === 0} />
      ))}
    </Section>
  );
}
