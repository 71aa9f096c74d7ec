// The screen *Compare*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Compare() {
  const { t } = useTranslation();
  return <Soon title={t("nav.compare")} />;
}
