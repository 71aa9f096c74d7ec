// What an artifact was made from, down to the files of data.
import { Badge, Box, Flex, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Copy } from "@/ui";
import type { Lineage } from "./queries";

export function LineageTree({ node, depth = 0 }: { node: Lineage; depth?: number }) {
  const { t } = useTranslation();
  const [recipe = "", number = "", step] = node.run.split("/");
  return (
    <Box as={depth === 0 ? "div" : "li"} position="relative" listStyleType="none">
      <Flex gap={3} align="flex-start" py={2} minW={0}>
        <Box minW={0} flex={1}>
          <Flex gap={2} align="center" wrap="wrap">
            {node.role && (
              <Text textStyle="caption" color="fg.muted">
                {node.role}
              </Text>
            )}
            <Text fontWeight="500" overflowWrap="anywhere">
              {node.run ? (
                <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: undefined }}>
                  {node.run}
                </Link>
              ) : (
                node.ref
              )}
            </Text>
            <Badge variant="subtle" colorPalette="gray">
              {node.kind}
            </Badge>
            {node.versions.map((one) => (
              <Badge key={one} variant="subtle" colorPalette="accent">
                {one}
              </Badge>
            ))}
          </Flex>
          <Flex gap={1} align="center" textStyle="caption" color="fg.muted" wrap="wrap">
            {[node.stage, node.licence && t("models.licenceIs", { licence: node.licence }), node.evidence]
              .filter(Boolean)
              .join(" · ")}
            <Text as="span" fontFamily="mono" ms={1}>
              {node.fingerprint.slice(0, 12)}
            </Text>
            <Copy value={node.fingerprint} />
            {node.damage && <Text color="fg.error">{node.damage}</Text>}
          </Flex>
        </Box>
      </Flex>
      {node.made_from.length > 0 && (
        <Box as="ul" m={0} ps={5} borderStartWidth="2px" borderColor="border">
          {node.made_from.map((one) => (
            <LineageTree key={`${one.role}/${one.ref}`} node={one} depth={depth + 1} />
          ))}
        </Box>
      )}
    </Box>
  );
}
