// One file that is sent, or was: how far it is, where it is, or why it is not.
import { Box, Button, Flex, IconButton, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { Check, FileUp, TriangleAlert, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { bytes, Progress, percent } from "@/ui";
import { cancel, forget, type Sent } from "./sending";

/** Its rows say which recipe it opens. */
export const searchOfUpload = (name: string) => ({ data: name });

export function SentRow({ sent }: { sent: Sent }) {
  const { t } = useTranslation();
  const { id, file, share, name, problem, isForRun } = sent;
  const isOver = name !== undefined || problem !== undefined;
  const Icon = problem ? TriangleAlert : name ? Check : FileUp;
  return (
    <Flex align="center" gap={3} px={2} py={2} borderRadius="l2">
      <Box color={problem ? "fg.error" : name ? "fg.success" : "fg.muted"} flexShrink={0}>
        <Icon size={16} aria-hidden />
      </Box>
      <Box flex={1} minW={0}>
        <Flex gap={3} align="baseline">
          <Text truncate fontWeight="500">
            {name ? (
              <Link to="/data/$name" params={{ name }} search={{ tab: undefined, split: undefined, row: undefined }}>
                {name}
              </Link>
            ) : (
              file.name
            )}
          </Text>
          <Text textStyle="small" color="fg.muted" flexShrink={0}>
            {isOver ? bytes(file.size) : `${percent(share)} · ${bytes(file.size)}`}
          </Text>
        </Flex>
        {!isOver && (
          <Box mt={1}>
            <Progress label={t("data.uploading", { name: file.name })} done={share} total={1} />
          </Box>
        )}
        {problem && (
          <Text textStyle="small" color="fg.error" role="alert" overflowWrap="anywhere">
            {problem.isUnreachable ? t("problem.unreachable") : `${problem.detail || problem.title} ${problem.fix}`}
          </Text>
        )}
      </Box>
      {name && isForRun && (
        <Button asChild size="2xs" variant="outline">
          <Link to="/new" search={searchOfUpload(name)} onClick={() => forget(id)}>
            {t("data.train")}
          </Link>
        </Button>
      )}
      <IconButton
        size="xs"
        variant="ghost"
        color="fg.muted"
        aria-label={isOver ? t("ui.dismiss") : t("data.cancel", { name: file.name })}
        onClick={() => (isOver ? forget(id) : cancel(id))}
      >
        <X />
      </IconButton>
    </Flex>
  );
}
