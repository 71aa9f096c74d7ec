// The models of a conversation, in the order of their answers.
import { Box, Button, Flex, Grid, IconButton } from "@chakra-ui/react";
import { Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useKnownModels } from "@/features/models/known";
import { PickModel } from "@/features/models/pick";

const MOST = 4;

export function Models({ models, onChange }: { models: string[]; onChange: (models: string[]) => void }) {
  const { t } = useTranslation();
  const known = useKnownModels();
  return (
    <Flex gap={3} align="flex-start" wrap="wrap" rowGap={2}>
      <Grid
        flex="1 1 280px"
        minW={0}
        templateColumns={{ base: "minmax(0, 1fr)", md: `repeat(${Math.min(2, models.length)}, minmax(0, 1fr))` }}
        columnGap={4}
        rowGap={2}
      >
        {models.map((model, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a model is known by its place while it is typed
          <Flex key={at} gap={1} minW={0}>
            <PickModel
              label={t("play.model", { number: at + 1 })}
              value={model}
              known={known}
              onChange={(ref) => onChange(models.map((one, seat) => (seat === at ? ref : one)))}
            />
            {models.length > 1 && (
              <IconButton
                size="sm"
                variant="ghost"
                color="fg.muted"
                aria-label={t("form.remove", { number: at + 1 })}
                title={t("form.remove", { number: at + 1 })}
                onClick={() => onChange(models.filter((_, seat) => seat !== at))}
              >
                <X />
              </IconButton>
            )}
          </Flex>
        ))}
      </Grid>
      {models.length < MOST && (
        <Box>
          <Button size="sm" variant="outline" onClick={() => onChange([...models, ""])}>
            <Plus aria-hidden /> {t("play.addModel")}
          </Button>
        </Box>
      )}
    </Flex>
  );
}
