// How many jobs wait, in one line that leads to them.
import { Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight, Clock } from "lucide-react";
import { useTranslation } from "react-i18next";
import { count } from "@/ui";
import { jobsQuery } from "./queries";

const PERIOD = 5_000;

export function Waiting() {
  const { t } = useTranslation();
  const { data } = useQuery({ ...jobsQuery, refetchInterval: PERIOD });
  const waiting = data?.jobs.filter((job) => job.state === "queued") ?? [];
  const [next] = waiting;
  if (!next) return null;
  return (
    <Flex
      asChild
      align="center"
      gap={2.5}
      px={{ base: 4, md: 5 }}
      h="44px"
      borderTopWidth="1px"
      borderColor="border.muted"
      color="fg.muted"
      _hover={{ bg: "bg.subtle", color: "fg" }}
    >
      <Link to="/jobs">
        <Clock size={14} aria-hidden />
        <Text flex={1} truncate>
          {t("jobs.wait", { count: waiting.length, number: count(data?.counts.queued ?? waiting.length) })}
        </Text>
        <Text textStyle="small" truncate hideBelow="sm">
          {t("jobs.next", { job: `${next.step} · ${next.recipe} #${next.number}` })}
        </Text>
        <ChevronRight size={14} aria-hidden />
      </Link>
    </Flex>
  );
}
