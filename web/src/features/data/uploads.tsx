// The place where files are dropped, and how far each of them is.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { type DragEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { sendFiles, useSending } from "./sending";
import { SentRow } from "./sentRow";

const NOTHING = { tab: undefined, split: undefined, row: undefined };

export function Uploads() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const sent = useSending();
  const send = (files: Iterable<File>) =>
    sendFiles(files, false, (name) => void navigate({ to: "/data/$name", params: { name }, search: NOTHING }));
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    send(event.dataTransfer.files);
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
            send(event.target.files ?? []);
            event.target.value = "";
          }}
        />
        <Button size="sm" variant="outline" bg="bg.panel" onClick={() => picker.current?.click()}>
          {t("compose.chooseFile")}
        </Button>
      </Flex>
      {sent.map((one) => (
        <Box key={one.id} mt={2}>
          <SentRow sent={one} />
        </Box>
      ))}
    </Box>
  );
}
