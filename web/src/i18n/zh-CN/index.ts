// The texts in Chinese, with the keys of the English ones (a test compares them).

import chart from "./chart.json";
import chat from "./chat.json";
import nav from "./nav.json";
import problem from "./problem.json";
import session from "./session.json";
import state from "./state.json";
import ui from "./ui.json";

export default { chart, chat, nav, problem, session, state, ui };
