// The screen *Jobs*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Jobs() {
  const { t } = useTranslation();
  return <Soon title={t("nav.jobs")} />;
}
