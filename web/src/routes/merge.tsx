// The screen *Merge*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Merge() {
  const { t } = useTranslation();
  return <Soon title={t("nav.merge")} />;
}
