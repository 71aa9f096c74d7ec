// The screen *Export*.
import { useTranslation } from "react-i18next";
import { Soon } from "./failures";

export default function Export() {
  const { t } = useTranslation();
  return <Soon title={t("nav.export")} />;
}
