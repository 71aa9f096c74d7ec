// The screen *Dataset*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Dataset() {
  const { t } = useTranslation();
  return <Soon title={t("nav.data")} />;
}
