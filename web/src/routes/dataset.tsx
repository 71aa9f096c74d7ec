// The screen of one dataset: its rows as conversations, what is known of them, and what was not kept.
import { Button, Flex, NativeSelect, Text } from "@chakra-ui/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Database, Play } from "lucide-react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { problemTold } from "@/api/problem";
import { ProfileFigures, ProfileView, useProfile } from "@/features/data/profile";
import { QuarantineView } from "@/features/data/quarantine";
import { datasetQuery } from "@/features/data/queries";
import { RowBrowser } from "@/features/data/rows";
import { Block, bytes, Copy, count, EmptyState, ErrorCard, Page, SureButton, ToList, warn } from "@/ui";
import { Tabs } from "@/ui/tabs";

export default function Dataset() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/shell/data/$name" });
  const search = useSearch({ from: "/shell/data/$name" });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery(datasetQuery(name));
  const profile = useProfile(name, data);
  const go = (change: { tab?: string; split?: string; row?: number }, replace = false) =>
    void navigate({
      to: "/data/$name",
      params: { name },
      search: { ...search, ...change },
      replace,
      resetScroll: false,
    });
  const splits = Object.entries(data?.splits ?? {});
  const split = splits.find(([one]) => one === search.split)?.[0] ?? splits[0]?.[0];
  const total = splits.find(([one]) => one === split)?.[1].rows ?? 0;
  const remove = async () => {
    try {
      await send("DELETE", `/api/v1/datasets/${encodeURIComponent(name)}`);
      await navigate({ to: "/data" });
      void queries.invalidateQueries({ queryKey: ["datasets"] });
    } catch (problem) {
      warn(t("data.notDeleted"), problem);
    }
  };
  const said = data && [
    t(`data.origin_${data.origin}`),
    data.layout.format,
    t("data.rowCount", {
      count: splits.reduce((sum, [, one]) => sum + one.rows, 0),
      rows: count(splits.reduce((sum, [, one]) => sum + one.rows, 0)),
    }),
    data.bad > 0 && t("data.badCount", { count: data.bad }),
    data.bytes && bytes(data.bytes),
  ];
  return (
    <Page
      title={name}
      crumbs={[{ label: t("nav.data"), to: "/data" }]}
      description={said ? said.filter(Boolean).join(" · ") : "\u00a0"}
      actions={
        <>
          {data?.origin === "upload" && (
            <SureButton
              size="sm"
              color="fg.error"
              title={t("data.deleteSure", { name })}
              question={t("data.deleteNow")}
              onSure={() => void remove()}
            >
              {t("data.delete")}
            </SureButton>
          )}
          {data && (
            <Flex
              align="center"
              borderWidth="1px"
              borderRadius="l2"
              px={2}
              gap={1}
              maxW="320px"
              textStyle="code"
              color="fg.muted"
            >
              <Text as="span" truncate title={data.ref}>
                {data.ref}
              </Text>
              <Copy value={data.ref} label={t("data.copyRef")} />
            </Flex>
          )}
          {data && (
            <Button asChild size="sm" colorPalette="accent">
              <Link
                to="/new"
                search={
                  data.kind === "dataset"
                    ? { stage: data.layout.stage, source: data.ref, base: "builtin:pocket" }
                    : { recipe: data.layout.recipe, source: data.ref }
                }
              >
                <Play aria-hidden /> {t("data.train")}
              </Link>
            </Button>
          )}
        </>
      }
    >
      {error && !data && (
        <ErrorCard error={error} onRetry={() => void refetch()} action={<ToList to="/data">{t("nav.data")}</ToList>} />
      )}
      {!data && !error && (
        <>
          <Block height={76} />
          <Block height={480} />
        </>
      )}
      {data && !(search.tab === "profile" && profile.shown.state === "none") && <ProfileFigures {...profile} />}
      {data && (
        <Tabs
          value={search.tab}
          onChange={(tab) => go({ tab: tab === "rows" ? undefined : tab })}
          tabs={[
            {
              value: "rows",
              title: t("data.rows"),
              content: (
                <Flex direction="column" gap={3}>
                  {splits.length > 1 && (
                    <NativeSelect.Root size="sm" maxW="260px">
                      <NativeSelect.Field
                        aria-label={t("data.split")}
                        value={split}
                        onChange={(event) => go({ split: event.target.value, row: undefined })}
                      >
                        {splits.map(([one, counts]) => (
                          <option key={one} value={one}>
                            {one} · {count(counts.rows)}
                          </option>
                        ))}
                      </NativeSelect.Field>
                      <NativeSelect.Indicator />
                    </NativeSelect.Root>
                  )}
                  {data.layout.error && <ErrorCard error={problemTold(data.layout.error)} />}
                  {total > 0 ? (
                    <RowBrowser
                      name={name}
                      split={splits.length > 1 ? split : undefined}
                      total={total}
                      row={Math.min((search.row ?? 1) - 1, total - 1)}
                      editable={data.editable}
                      onRow={(row) => go({ row: row ? row + 1 : undefined }, true)}
                    />
                  ) : (
                    <EmptyState icon={Database} title={t("data.noRows")} />
                  )}
                </Flex>
              ),
            },
            { value: "profile", title: t("data.profile"), content: <ProfileView detail={data} {...profile} /> },
            ...(data.origin === "artifact"
              ? [{ value: "quarantine", title: t("data.quarantine"), content: <QuarantineView name={name} /> }]
              : []),
          ]}
        />
      )}
    </Page>
  );
}
