// The screen *Runs*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Runs() {
  const { t } = useTranslation();
  return <Soon title={t("nav.runs")} />;
}
