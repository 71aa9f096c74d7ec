// The models that are served now: where they answer, and how they are asked.
import { Badge, Box, Button, Flex, Text } from "@chakra-ui/react";
import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Server } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { answer, api, type Shape } from "@/api/client";
import { Ago, Code, Copy, count, Section, Segments, tell, warn } from "@/ui";

type ServedModel = Shape<"ServedModel">;

const POLL = 4_000;
const COLOURS = { ready: "success", starting: "accent", damaged: "danger" } as const;

export const servedQuery = queryOptions({
  queryKey: ["served"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/served", { signal })),
  refetchInterval: POLL,
});

export function Served() {
  const { t } = useTranslation();
  const { data } = useQuery(servedQuery);
  if (!data?.length) return null;
  return (
    <Section flush title={t("models.served")} description={t("models.servedHint")}>
      <Box role="status" srOnly>
        {data.map((one) => `${one.model}: ${t(`models.${one.state}`)}`).join(", ")}
      </Box>
      {data.map((one) => (
        <Row key={one.run} model={one} />
      ))}
    </Section>
  );
}

function Row({ model }: { model: ServedModel }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [way, setWay] = useState<"curl" | "python">("curl");
  const [recipe = "", number = "", step] = model.run.split("/");
  const stop = async () => {
    try {
      await send("POST", `/api/v1/runs/${recipe}/${number}/stop`);
      tell(t("models.stopping"), model.run);
      await queries.invalidateQueries({ queryKey: ["served"] });
    } catch (problem) {
      warn(t("models.notStopped"), problem);
    }
  };
  const facts = [
    model.reason,
    model.engine,
    model.context === null ? null : `${t("models.context")} ${count(model.context)}`,
    model.key && `${t("models.keyIn")} ${model.key}`,
  ].filter(Boolean);
  return (
    <Box px={{ base: 4, md: 5 }} py={4} borderTopWidth="1px" borderColor="border.muted" _first={{ borderTopWidth: 0 }}>
      <Flex gap={3} align="center" wrap="wrap">
        <Badge variant="subtle" colorPalette={COLOURS[model.state]}>
          {t(`models.${model.state}`)}
        </Badge>
        <Text fontWeight="500" truncate minW={0}>
          {model.models[0] ?? model.model}
        </Text>
        {model.address && (
          <Flex align="center" gap={1} minW={0}>
            <Text textStyle="code" truncate>
              {model.address}
            </Text>
            <Copy value={model.address} label={t("models.endpoint")} />
          </Flex>
        )}
        <Text textStyle="caption" color="fg.muted" flex={1} truncate minW="80px">
          {facts.join(" · ")}
          {facts.length > 0 && model.started !== null && " · "}
          {model.started !== null && <Ago at={model.started} />}
        </Text>
        <Flex gap={2}>
          <Button asChild size="xs" variant="outline">
            <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: "logs" }}>
              {t("models.openRun")}
            </Link>
          </Button>
          <Button size="xs" variant="outline" onClick={() => void stop()}>
            {t("models.stopServing")}
          </Button>
        </Flex>
      </Flex>
      {model.curl && model.python && (
        <Flex direction="column" gap={2} mt={3}>
          <Segments
            label={t("models.use")}
            options={[
              { value: "curl", label: t("models.way_curl") },
              { value: "python", label: t("models.way_python") },
            ]}
            value={way}
            onChange={(next) => setWay(next as "curl" | "python")}
          />
          <Code label={t(`models.way_${way}`)} maxHeight="220px">
            {way === "curl" ? model.curl : model.python}
          </Code>
        </Flex>
      )}
    </Box>
  );
}

/** Starts a server of a model as a job of this machine. */
export function ServeHere({ model }: { model: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const serve = async () => {
    setBusy(true);
    try {
      const made = await send<{ run: string }>("POST", "/api/v1/served", { model });
      tell(t("models.serving"), made.run);
      await queries.invalidateQueries({ queryKey: ["served"] });
    } catch (problem) {
      warn(t("models.notServed"), problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button size="sm" colorPalette="accent" loading={busy} onClick={() => void serve()}>
      <Server aria-hidden /> {t("models.serveHere")}
    </Button>
  );
}
