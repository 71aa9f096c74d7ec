// The place where files are dropped, and how far each of them is.
import { Box, Button, Flex, IconButton, Text } from "@chakra-ui/react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Check, FileUp, TriangleAlert, X } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { asProblem, type Problem } from "@/api/problem";
import { bytes, Progress, percent } from "@/ui";
import { upload } from "./upload";

interface Sent {
  id: number;
  file: File;
  share: number;
  cancel: () => void;
  name?: string;
  problem?: Problem;
}

const NOTHING = { tab: undefined, split: undefined, row: undefined };

export function Uploads() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const here = useRef(true);
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);
  const picker = useRef<HTMLInputElement>(null);
  const next = useRef(0);
  const [over, setOver] = useState(false);
  const [sent, setSent] = useState<Sent[]>([]);
  const update = (id: number, change: Partial<Sent>) =>
    setSent((now) => now.map((one) => (one.id === id ? { ...one, ...change } : one)));
  const forget = (id: number) => setSent((now) => now.filter((one) => one.id !== id));

  /** Uploads files; a single one is opened when it is there. */
  const sendAll = async (files: readonly File[]) => {
    const names = await Promise.all(files.map(send));
    const [name] = names;
    if (names.length === 1 && name && here.current)
      await navigate({ to: "/data/$name", params: { name }, search: NOTHING });
  };
  const send = async (file: File): Promise<string | null> => {
    const id = next.current++;
    const running = upload(file, (share) => update(id, { share }));
    setSent((now) => [{ id, file, share: 0, cancel: running.cancel }, ...now]);
    try {
      const record = await running.done;
      update(id, { share: 1, name: record.name });
      void queries.invalidateQueries({ queryKey: ["datasets"] });
      return record.name;
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === "cancelled") forget(id);
      else update(id, { problem });
      return null;
    }
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void sendAll([...event.dataTransfer.files]);
  };
  return (
    <Box>
      <Flex
        data-drop
        align="center"
        gap={4}
        wrap="wrap"
        borderWidth="1px"
        borderStyle="dashed"
        borderColor={over ? "accent.solid" : "border.emphasized"}
        borderRadius="l3"
        bg={over ? "accent.subtle" : "bg.subtle"}
        px={{ base: 4, md: 6 }}
        py={5}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Flex
          boxSize={9}
          align="center"
          justify="center"
          borderRadius="l3"
          bg="bg.panel"
          borderWidth="1px"
          color="accent.fg"
          flexShrink={0}
        >
          <FileUp size={17} aria-hidden />
        </Flex>
        <Box flex="1 1 220px">
          <Text textStyle="title">{t("data.drop")}</Text>
          <Text textStyle="small" color="fg.muted">
            {t("data.dropHint")}
          </Text>
        </Box>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label={t("compose.chooseFile")}
          onChange={(event) => {
            void sendAll([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <Button size="sm" variant="outline" bg="bg.panel" onClick={() => picker.current?.click()}>
          {t("compose.chooseFile")}
        </Button>
      </Flex>
      {sent.map((one) => (
        <Flex key={one.id} align="center" gap={3} px={2} py={2} mt={2} borderRadius="l2">
          <Box color={one.problem ? "fg.error" : one.name ? "fg.success" : "fg.muted"} flexShrink={0}>
            {one.problem ? (
              <TriangleAlert size={16} aria-hidden />
            ) : one.name ? (
              <Check size={16} aria-hidden />
            ) : (
              <FileUp size={16} aria-hidden />
            )}
          </Box>
          <Box flex={1} minW={0}>
            <Flex gap={3} align="baseline">
              <Text truncate fontWeight="500">
                {one.name ? (
                  <Link to="/data/$name" params={{ name: one.name }} search={NOTHING}>
                    {one.name}
                  </Link>
                ) : (
                  one.file.name
                )}
              </Text>
              <Text textStyle="small" color="fg.muted" flexShrink={0}>
                {one.name || one.problem ? bytes(one.file.size) : `${percent(one.share)} · ${bytes(one.file.size)}`}
              </Text>
            </Flex>
            {!one.name && !one.problem && (
              <Box mt={1}>
                <Progress label={t("data.uploading", { name: one.file.name })} done={one.share} total={1} />
              </Box>
            )}
            {one.problem && (
              <Text textStyle="small" color="fg.error" role="alert" overflowWrap="anywhere">
                {one.problem.isUnreachable ? t("problem.unreachable") : `${one.problem.detail} ${one.problem.fix}`}
              </Text>
            )}
          </Box>
          <IconButton
            size="xs"
            variant="ghost"
            color="fg.muted"
            aria-label={one.name || one.problem ? t("ui.dismiss") : t("data.cancel", { name: one.file.name })}
            onClick={() => (one.name || one.problem ? forget(one.id) : one.cancel())}
          >
            <X />
          </IconButton>
        </Flex>
      ))}
    </Box>
  );
}
