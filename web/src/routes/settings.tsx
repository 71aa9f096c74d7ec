// The screen *Settings*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Settings() {
  const { t } = useTranslation();
  return <Soon title={t("nav.settings")} />;
}
