// The screen *Playground*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Playground() {
  const { t } = useTranslation();
  return <Soon title={t("nav.playground")} />;
}
