// What is shown where a screen cannot be: no such address, or an error in it.
import { Box, Button } from "@chakra-ui/react";
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { useTranslation } from "react-i18next";
import { EmptyState, ErrorCard, useDocumentTitle } from "@/ui";

export function NotFound() {
  const { t } = useTranslation();
  useDocumentTitle(t("nav.notFound"));
  return (
    <EmptyState
      isTitle
      icon={Compass}
      title={t("nav.notFound")}
      action={
        <Button asChild size="sm" variant="outline">
          <Link to="/">{t("nav.goHome")}</Link>
        </Button>
      }
    >
      {t("nav.notFoundHint")}
    </EmptyState>
  );
}

export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const again = () => {
    reset();
    void router.invalidate();
  };
  return (
    <Box maxW="640px" mx="auto" px={4} py={16}>
      <ErrorCard error={error} onRetry={again} />
    </Box>
  );
}
