// The button that submits a draft, at the foot of a screen that has no room for it beside the form.
import { Box, Button } from "@chakra-ui/react";
import { Play } from "lucide-react";
import { useTranslation } from "react-i18next";

export interface RunBarProps {
  submitting: boolean;
  disabled: boolean;
  onRun: () => void;
}

export function RunBar({ submitting, disabled, onRun }: RunBarProps) {
  const { t } = useTranslation();
  return (
    <Box
      hideFrom="lg"
      position="sticky"
      bottom={0}
      zIndex="docked"
      mx={{ base: -4, md: -8 }}
      px={{ base: 4, md: 8 }}
      py={3}
      bg="bg"
      borderTopWidth="1px"
    >
      <Button w="full" colorPalette="accent" loading={submitting} disabled={disabled} onClick={onRun}>
        <Play aria-hidden /> {t("compose.run")}
      </Button>
    </Box>
  );
}
