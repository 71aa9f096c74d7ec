// The screen *Run*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Run() {
  const { t } = useTranslation();
  return <Soon title={t("nav.run")} />;
}
