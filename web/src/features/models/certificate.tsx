// A certificate: whether a model is still what its parent is, check by check.
import { Badge, Box, Flex, Text } from "@chakra-ui/react";
import { Check, Minus, ShieldAlert, ShieldCheck, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { count } from "@/ui";
import { useVerdict } from "@/ui/verdict";
import type { Certificate } from "./queries";

const ICONS = { holds: Check, "does not hold": X } as const;

export function CertificateBadge({ certificate }: { certificate: Certificate | null | undefined }) {
  const { t } = useTranslation();
  if (!certificate) return null;
  const Icon = certificate.holds ? ShieldCheck : ShieldAlert;
  return (
    <Badge colorPalette={certificate.holds ? "success" : "danger"} variant="subtle" gap={1}>
      <Icon size={12} aria-hidden />
      {certificate.holds ? t("models.certified") : t("models.notCertified")}
    </Badge>
  );
}

export function CertificateCard({ certificate }: { certificate: Certificate }) {
  const { t } = useTranslation();
  const verdictOf = useVerdict();
  const checks = certificate.checks.filter((one) => one.verdict !== "does not apply");
  const left = certificate.checks.length - checks.length;
  return (
    <Box>
      <Flex align="center" gap={3} mb={2} wrap="wrap">
        <CertificateBadge certificate={certificate} />
        <Text textStyle="small" color="fg.muted">
          {t("models.certifiedOn", {
            change: certificate.change,
            rows: count(certificate.rows),
            tokens: count(certificate.tokens),
          })}
        </Text>
      </Flex>
      {checks.map((one) => {
        const Icon = ICONS[one.verdict as keyof typeof ICONS] ?? Minus;
        return (
          <Flex key={one.name} gap={3} py={1.5} borderTopWidth="1px" borderColor="border.muted" align="baseline">
            <Box color={one.verdict === "holds" ? "fg.success" : "fg.error"} flexShrink={0} alignSelf="center">
              <Icon size={14} aria-label={verdictOf(one.verdict)} />
            </Box>
            <Text w="112px" flexShrink={0} textStyle="small" fontWeight="500">
              {one.name}
            </Text>
            <Text textStyle="small" color="fg.muted" overflowWrap="anywhere">
              {one.found}
            </Text>
          </Flex>
        );
      })}
      {left > 0 && (
        <Text textStyle="caption" color="fg.muted" mt={2}>
          {t("models.notApplied", { count: left })}
        </Text>
      )}
    </Box>
  );
}
