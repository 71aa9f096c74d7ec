// Settings: how the page looks, who may ask, and what the `.env` of the workspace holds.
import { useTranslation } from "react-i18next";
import { Appearance } from "@/features/settings/appearance";
import { Sessions } from "@/features/settings/sessions";
import { OtherBrowser, Tokens } from "@/features/settings/tokens";
import { Variables } from "@/features/settings/variables";
import { Page } from "@/ui";

export default function Settings() {
  const { t } = useTranslation();
  return (
    <Page title={t("nav.settings")} width="reading">
      <Appearance />
      <Tokens />
      <Sessions />
      <OtherBrowser />
      <Variables />
    </Page>
  );
}
