// Where a new run begins: a file, a recipe, or a single step.

import { Box, Button, Flex, Grid, Input, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { FileUp, Search } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { recipeSummary, stageSummary } from "@/i18n/names";
import { Block, EmptyState, ErrorCard, oneLine, Page, Rich, Section } from "@/ui";
import { searchOf, useNewFromFiles } from "./drop";
import { useFamilies } from "./families";
import { pasted } from "./links";
import { type RecipeRow, recipesQuery, type Stage, stagesQuery } from "./queries";

export function Start() {
  const { t } = useTranslation();
  const recipes = useQuery(recipesQuery);
  const stages = useQuery(stagesQuery);
  const [query, setQuery] = useState("");
  const wanted = query.trim().toLowerCase();
  const found = (recipes.data ?? []).filter((one) =>
    `${one.name} ${one.summary} ${recipeSummary(one)} ${one.stages.join(" ")}`.toLowerCase().includes(wanted),
  );
  const own = found.filter((one) => one.origin === "workspace");
  const shipped = found.filter((one) => one.origin === "shipped");
  return (
    <Page title={t("nav.new")} description={t("compose.startHint")}>
      <FromData />
      <Flex align="center" gap={3} wrap="wrap" mt={2}>
        <Text as="h2" textStyle="lead" fontWeight="600" flex="1">
          {t("compose.recipes")}
        </Text>
        <Box position="relative" w={{ base: "full", sm: "260px" }}>
          <Box position="absolute" left={3} top="9px" color="fg.subtle" pointerEvents="none">
            <Search size={14} aria-hidden />
          </Box>
          <Input
            size="sm"
            ps={8}
            type="search"
            value={query}
            placeholder={t("compose.findRecipe")}
            aria-label={t("compose.findRecipe")}
            onChange={(event) => setQuery(event.target.value)}
          />
        </Box>
      </Flex>
      {recipes.error && !recipes.data && <ErrorCard error={recipes.error} onRetry={() => void recipes.refetch()} />}
      {recipes.isPending && <Block height={420} />}
      {own.length > 0 && <Recipes title={t("compose.own")} recipes={own} />}
      {shipped.length > 0 && <Recipes title={own.length ? t("compose.shipped") : undefined} recipes={shipped} />}
      {recipes.data && found.length === 0 && (
        <EmptyState icon={Search} title={t("compose.noRecipe", { query })} compact />
      )}
      {stages.data && <SingleSteps stages={stages.data} query={wanted} />}
    </Page>
  );
}

function FromData() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const send = useNewFromFiles();
  const picker = useRef<HTMLInputElement>(null);
  const [link, setLink] = useState("");
  const [unknown, setUnknown] = useState(false);
  const open = (event: FormEvent) => {
    event.preventDefault();
    const found = pasted(link);
    setUnknown(found === null);
    if (found) void navigate({ to: "/new", search: searchOf(found) });
  };
  return (
    <Flex
      borderWidth="1px"
      borderStyle="dashed"
      borderColor="border.emphasized"
      borderRadius="l3"
      bg="bg.subtle"
      px={{ base: 5, md: 8 }}
      py={{ base: 6, md: 7 }}
      gap={{ base: 5, md: 8 }}
      align="center"
      direction={{ base: "column", md: "row" }}
    >
      <Flex gap={4} align="center" flex="1" w="full">
        <Flex
          boxSize={10}
          flexShrink={0}
          align="center"
          justify="center"
          borderRadius="l3"
          bg="bg.panel"
          borderWidth="1px"
          color="accent.fg"
        >
          <FileUp size={18} aria-hidden />
        </Flex>
        <Box minW={0}>
          <Text textStyle="title">{t("compose.ownData")}</Text>
          <Text color="fg.muted" textStyle="small">
            {t("compose.ownDataHint")}
          </Text>
        </Box>
      </Flex>
      <Box w={{ base: "full", md: "auto" }} flexShrink={0}>
        <form onSubmit={open}>
          <Flex gap={2} wrap="wrap">
            <input
              ref={picker}
              type="file"
              multiple
              hidden
              aria-label={t("compose.chooseFile")}
              onChange={(event) => {
                send(event.target.files ?? []);
                event.target.value = "";
              }}
            />
            <Button size="sm" colorPalette="accent" onClick={() => picker.current?.click()}>
              {t("compose.chooseFile")}
            </Button>
            <Input
              size="sm"
              w={{ base: "full", sm: "240px" }}
              flex={{ base: "1 1 160px", md: "none" }}
              bg="bg.panel"
              value={link}
              placeholder={t("compose.pasteLink")}
              aria-label={t("compose.pasteLink")}
              aria-invalid={unknown || undefined}
              onChange={(event) => {
                setLink(event.target.value);
                setUnknown(false);
              }}
            />
            <Button size="sm" variant="outline" type="submit" disabled={!link.trim()}>
              {t("compose.open")}
            </Button>
          </Flex>
          <Text role="status" textStyle="caption" color="fg.error" mt={unknown ? 2 : 0}>
            {unknown ? t("compose.unknownLink") : ""}
          </Text>
        </form>
      </Box>
    </Flex>
  );
}

function Recipes({ title, recipes }: { title?: string; recipes: readonly RecipeRow[] }) {
  return (
    <Box>
      {title && (
        <Text as="h3" textStyle="small" color="fg.muted" mb={2}>
          {title}
        </Text>
      )}
      <Grid templateColumns="repeat(auto-fill, minmax(min(100%, 300px), 1fr))" gap={3}>
        {recipes.map((one) => (
          <RecipeCard key={`${one.origin}/${one.name}`} recipe={one} />
        ))}
      </Grid>
    </Box>
  );
}

function RecipeCard({ recipe }: { recipe: RecipeRow }) {
  const { t } = useTranslation();
  const steps = recipe.stages.filter((stage, at, all) => stage !== all[at - 1]);
  return (
    <Flex
      asChild
      direction="column"
      gap={1}
      p={4}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      minW={0}
      transition="border-color 120ms"
      _hover={{ borderColor: "border.emphasized", bg: "bg.subtle" }}
    >
      <Link to="/new" search={{ recipe: recipe.name }}>
        <Text textStyle="title" truncate>
          {recipe.name}
        </Text>
        <Text textStyle="small" color={recipe.error ? "fg.error" : "fg.muted"} lineClamp={2} minH="40px">
          <Rich>{oneLine(recipe.error ?? recipeSummary(recipe))}</Rich>
        </Text>
        <Text textStyle="caption" color="fg.subtle" truncate mt={1} title={recipe.stages.join(" → ")}>
          {steps.length ? steps.join(" → ") : t("compose.noSteps")}
        </Text>
      </Link>
    </Flex>
  );
}

function SingleSteps({ stages, query }: { stages: readonly Stage[]; query: string }) {
  const { t } = useTranslation();
  const found = stages.filter((one) => `${one.name} ${one.summary} ${stageSummary(one)}`.toLowerCase().includes(query));
  const families = useFamilies(found);
  if (found.length === 0) return null;
  return (
    <Section title={t("compose.oneStep")} description={t("compose.oneStepHint")}>
      <Grid
        templateColumns={{ base: "1fr", md: "repeat(2, minmax(0, 1fr))", xl: "repeat(3, minmax(0, 1fr))" }}
        gap={6}
        pt={2}
      >
        {families.map(([title, rows]) => (
          <Box key={title}>
            <Text as="h3" textStyle="caption" color="fg.muted" mb={1} px={2}>
              {title}
            </Text>
            {rows.map((one) => (
              <Box asChild key={one.name} display="block" px={2} py={1.5} borderRadius="l2" _hover={{ bg: "bg.muted" }}>
                <Link to="/new" search={{ stage: one.name }}>
                  <Text fontWeight="500">{one.name}</Text>
                  <Text textStyle="small" color="fg.muted">
                    <Rich>{stageSummary(one)}</Rich>
                  </Text>
                </Link>
              </Box>
            ))}
          </Box>
        ))}
      </Grid>
    </Section>
  );
}
