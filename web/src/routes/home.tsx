// The screen *Home*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Home() {
  const { t } = useTranslation();
  return <Soon title={t("nav.home")} />;
}
