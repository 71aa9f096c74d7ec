// The texts in Chinese, with the keys of the English ones (a test compares them).
import nav from "./nav.json";
import problem from "./problem.json";
import session from "./session.json";
import state from "./state.json";
import ui from "./ui.json";

export default { nav, problem, session, state, ui };
