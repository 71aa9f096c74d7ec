// The files of a step: a tree with sizes, a preview of what can be read, and downloads.
import { Box, Button, Flex, Grid, IconButton, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, Download, File, FileImage, FileText, Folder } from "lucide-react";
import { type KeyboardEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { address } from "@/api/transport";
import { bytes, Copy, count, EmptyState, ErrorCard, Lines, Rows, Section } from "@/ui";
import { archivePath, filePath, filesQuery, type StepName, textOf } from "../api";
import { type Entry, entriesOf, previewOf } from "../files";
import { plain } from "../logs/lines";
import type { TabProps } from ".";

const MOST = 256 << 10;

export default function Files({ name, step, search }: TabProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const stepName = useMemo(() => ({ ...name, step: step.step }), [name, step.step]);
  const found = useQuery({ ...filesQuery(stepName), enabled: step.shown !== null });
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const entries = useMemo(
    () => entriesOf(found.data?.files ?? [], (folder) => !closed.has(folder)),
    [found.data, closed],
  );
  if (found.error) return <ErrorCard error={found.error} onRetry={() => void found.refetch()} />;
  const chosen = entries.find((one) => !one.isFolder && one.path === search.file);
  const total = (found.data?.files ?? []).reduce((sum, file) => sum + file.bytes, 0);
  const open = (entry: Entry) => {
    if (entry.isFolder) {
      const next = new Set(closed);
      if (!next.delete(entry.path)) next.add(entry.path);
      setClosed(next);
    } else
      void navigate({
        to: "/runs/$recipe/$number",
        params: name,
        search: { step: step.step, tab: "files", file: entry.path },
        resetScroll: false,
      });
  };
  if (!step.shown || found.data?.files.length === 0)
    return (
      <EmptyState icon={Folder} title={t("run.noFiles")}>
        {t("run.noFilesHint")}
      </EmptyState>
    );
  return (
    <Grid
      templateColumns={{ base: "minmax(0, 1fr)", xl: chosen ? "minmax(0, 5fr) minmax(0, 7fr)" : "minmax(0, 1fr)" }}
      gap={{ base: 5, md: 6 }}
      alignItems="start"
    >
      <Section
        title={t("run.tab.files")}
        description={
          found.data
            ? [
                t("run.filesOf", { count: found.data.files.length, size: bytes(total) }),
                found.data.more ? t("run.moreFiles", { count: found.data.more }) : "",
              ]
                .filter(Boolean)
                .join(" · ")
            : undefined
        }
        actions={
          <>
            <Copy value={step.shown.folder} label={t("run.copyPath")} />
            {step.shown.kind && (
              <Button asChild size="xs" variant="outline" title={t("run.downloadAllHint")}>
                <a href={archivePath(stepName)} download>
                  <Download size={13} aria-hidden />
                  {t("run.downloadAll")}
                </a>
              </Button>
            )}
          </>
        }
        flush
      >
        {!found.data && <Rows count={9} height={36} />}
        <Box role="tree" aria-label={t("run.tab.files")} py={1.5}>
          {entries.map((entry) => (
            <Row
              key={`${entry.path}${entry.isFolder ? "/" : ""}`}
              entry={entry}
              name={stepName}
              isChosen={entry === chosen}
              isOpen={!closed.has(entry.path)}
              onOpen={() => open(entry)}
            />
          ))}
        </Box>
      </Section>
      {chosen && <PreviewCard key={chosen.path} entry={chosen} name={stepName} />}
    </Grid>
  );
}

interface RowProps {
  entry: Entry;
  name: StepName;
  isChosen: boolean;
  isOpen: boolean;
  onOpen: () => void;
}

const ICONS = { text: FileText, image: FileImage, none: File } as const;

function Row({ entry, name, isChosen, isOpen, onOpen }: RowProps) {
  const { t } = useTranslation();
  const Icon = entry.isFolder ? Folder : ICONS[previewOf(entry.path)];
  const press = (event: KeyboardEvent<HTMLElement>) => {
    if (event.target !== event.currentTarget) return;
    const to = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" } as const;
    if (event.key === "Enter" || event.key === " ") onOpen();
    else if (event.key === "ArrowRight" && entry.isFolder && !isOpen) onOpen();
    else if (event.key === "ArrowLeft" && entry.isFolder && isOpen) onOpen();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = event.currentTarget[to[event.key]];
      if (next instanceof HTMLElement) next.focus();
    } else return;
    event.preventDefault();
  };
  return (
    <Flex
      role="treeitem"
      aria-level={entry.depth + 1}
      aria-expanded={entry.isFolder ? isOpen : undefined}
      aria-selected={isChosen}
      tabIndex={0}
      onClick={onOpen}
      onKeyDown={press}
      align="center"
      gap={2}
      h="34px"
      pe={3}
      cursor="pointer"
      bg={isChosen ? "bg.muted" : undefined}
      _hover={{ bg: "bg.subtle" }}
      style={{ paddingInlineStart: `${16 + entry.depth * 20}px` }}
      _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
    >
      <Box w="14px" color="fg.subtle" flexShrink={0}>
        {entry.isFolder && (isOpen ? <ChevronDown size={14} aria-hidden /> : <ChevronRight size={14} aria-hidden />)}
      </Box>
      <Box color="fg.muted" flexShrink={0}>
        <Icon size={15} strokeWidth={1.75} aria-hidden />
      </Box>
      <Text flex={1} minW={0} truncate fontWeight={entry.isFolder ? "500" : undefined}>
        {entry.label}
      </Text>
      <Text textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums" whiteSpace="nowrap">
        {entry.isFolder && !isOpen ? `${count(entry.count)} · ` : ""}
        {bytes(entry.bytes)}
      </Text>
      {entry.isFolder ? (
        <Box w="24px" flexShrink={0} />
      ) : (
        <IconButton asChild size="2xs" variant="ghost" color="fg.muted" tabIndex={-1}>
          <a
            href={`${filePath(name, entry.path)}?download=true`}
            download
            aria-label={t("run.downloadFile", { file: entry.label })}
            title={t("run.download")}
            onClick={(event) => event.stopPropagation()}
          >
            <Download />
          </a>
        </IconButton>
      )}
    </Flex>
  );
}

/** A file as it can be read: text, or a picture. Nothing in it is run. */
function PreviewCard({ entry, name }: { entry: Entry; name: StepName }) {
  const { t } = useTranslation();
  const kind = previewOf(entry.path);
  const { recipe, number, step } = name;
  const found = useQuery({
    queryKey: ["file", recipe, number, step, entry.path, entry.bytes],
    queryFn: ({ signal }) => textOf(name, entry.path, MOST, signal),
    enabled: kind === "text" && entry.bytes > 0,
    retry: false,
  });
  const text = found.data?.text ?? "";
  return (
    <Section
      title={entry.label}
      description={bytes(entry.bytes)}
      actions={
        <>
          {kind === "text" && text && <Copy value={text} />}
          <Button asChild size="xs" variant="outline">
            <a href={`${filePath(name, entry.path)}?download=true`} download>
              <Download size={13} aria-hidden />
              {t("run.download")}
            </a>
          </Button>
        </>
      }
      flush
    >
      {kind === "none" && (
        <EmptyState icon={File} title={t("run.noPreview")} compact>
          {t("run.noPreviewHint")}
        </EmptyState>
      )}
      {kind === "image" && (
        <Flex justify="center" p={4} bg="white">
          <img src={address(filePath(name, entry.path))} alt={entry.label} style={{ maxWidth: "100%" }} />
        </Flex>
      )}
      {kind === "text" && found.error && (
        <Box p={4}>
          <ErrorCard error={found.error} onRetry={() => void found.refetch()} />
        </Box>
      )}
      {kind === "text" && !found.error && (
        <>
          <Box
            as="pre"
            tabIndex={0}
            m={0}
            px={{ base: 4, md: 5 }}
            py={4}
            textStyle="code"
            overflow="auto"
            maxH="560px"
            minH="160px"
            aria-label={entry.label}
            role="region"
          >
            {found.isLoading ? <Lines count={6} /> : text.split("\n").map(plain).join("\n")}
          </Box>
          {found.data && found.data.to < found.data.size && (
            <Text
              textStyle="caption"
              color="fg.muted"
              px={{ base: 4, md: 5 }}
              py={2.5}
              borderTopWidth="1px"
              borderColor="border.muted"
            >
              {t("run.previewCut", { shown: bytes(found.data.to), size: bytes(found.data.size) })}
            </Text>
          )}
        </>
      )}
    </Section>
  );
}
