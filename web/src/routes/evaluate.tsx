// The screen *Evaluate*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Evaluate() {
  const { t } = useTranslation();
  return <Soon title={t("nav.evaluate")} />;
}
