// The screen *NewRun*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function NewRun() {
  const { t } = useTranslation();
  return <Soon title={t("nav.new")} />;
}
