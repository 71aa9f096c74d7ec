// The screen *Data*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Data() {
  const { t } = useTranslation();
  return <Soon title={t("nav.data")} />;
}
