// The screen *Adapters*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Adapters() {
  const { t } = useTranslation();
  return <Soon title={t("nav.adapters")} />;
}
