// All English texts, by section. A section is one file; a key is `section.name`.
import chart from "./chart.json";
import chat from "./chat.json";
import compare from "./compare.json";
import compose from "./compose.json";
import data from "./data.json";
import first from "./first.json";
import form from "./form.json";
import home from "./home.json";
import jobs from "./jobs.json";
import live from "./live.json";
import models from "./models.json";
import nav from "./nav.json";
import palette from "./palette.json";
import play from "./play.json";
import problem from "./problem.json";
import run from "./run.json";
import runs from "./runs.json";
import session from "./session.json";
import settings from "./settings.json";
import state from "./state.json";
import ui from "./ui.json";

export default {
  chart,
  chat,
  compare,
  compose,
  data,
  first,
  form,
  home,
  jobs,
  live,
  models,
  nav,
  palette,
  play,
  problem,
  run,
  runs,
  session,
  settings,
  state,
  ui,
};

export { default as names } from "./names.json";
