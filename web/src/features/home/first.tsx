// What a new user sees: what burnish does, and a demo that needs no data, no key and no network.
import { Box, Button, Flex, Grid, Heading, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { ArrowRight, Database, Play, ShieldCheck, Sparkles } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Code } from "@/ui";

const STEPS = [
  { key: "data", icon: Database },
  { key: "train", icon: Sparkles },
  { key: "prove", icon: ShieldCheck },
] as const;

export function FirstRun() {
  const { t } = useTranslation();
  return (
    <Box borderWidth="1px" borderRadius="l3" bg="bg.panel" px={{ base: 5, md: 10 }} py={{ base: 8, md: 12 }}>
      <Heading as="h2" textStyle="figure" maxW="24ch" textWrap="balance">
        {t("first.title")}
      </Heading>
      <Text textStyle="lead" color="fg.muted" mt={3} maxW="60ch">
        {t("first.hint")}
      </Text>
      <Flex gap={3} mt={7} wrap="wrap">
        <Button asChild colorPalette="accent">
          <Link to="/new" search={{ recipe: "demo" }}>
            <Play aria-hidden />
            {t("first.demo")}
          </Link>
        </Button>
        <Button asChild variant="outline">
          <Link to="/data">
            {t("first.own")}
            <ArrowRight aria-hidden />
          </Link>
        </Button>
      </Flex>
      <Grid templateColumns={{ base: "1fr", md: "repeat(3, 1fr)" }} gap={{ base: 6, md: 8 }} mt={{ base: 10, md: 14 }}>
        {STEPS.map(({ key, icon: Icon }) => (
          <Box key={key}>
            <Box color="accent.fg" mb={2}>
              <Icon size={18} strokeWidth={1.9} aria-hidden />
            </Box>
            <Text textStyle="title">{t(`first.${key}`)}</Text>
            <Text color="fg.muted" mt={1}>
              {t(`first.${key}_hint`)}
            </Text>
          </Box>
        ))}
      </Grid>
      <Box mt={{ base: 8, md: 12 }} maxW="420px">
        <Code label={t("first.terminal")}>burnish demo</Code>
      </Box>
    </Box>
  );
}
