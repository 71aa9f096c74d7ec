// The palette: screens, runs, recipes, and what can be done.
import { useTranslation } from "react-i18next";
import FinderDialog from "@/ui/finder/dialog";
import { usePaletteItems } from "./items";

export default function PaletteDialog(props: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return <FinderDialog title={t("palette.title")} hint={t("palette.hint")} useItems={usePaletteItems} {...props} />;
}
