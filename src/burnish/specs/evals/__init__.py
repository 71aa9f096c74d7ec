"""Settings of the stages that give verdicts, one file for each stage, and what they share."""

from burnish.specs.evals.certify import CertifySpec as CertifySpec
from burnish.specs.evals.compare import CandidateSpec as CandidateSpec
from burnish.specs.evals.compare import CompareSpec as CompareSpec
from burnish.specs.evals.compare import GateRuleSpec as GateRuleSpec
from burnish.specs.evals.compare import GateSpec as GateSpec
from burnish.specs.evals.evaluate import EvaluateSpec as EvaluateSpec
from burnish.specs.evals.evaluate import MaskedSpec as MaskedSpec
from burnish.specs.evals.generation import GenerationSpec as GenerationSpec
from burnish.specs.evals.judge import JudgeSpec as JudgeSpec
from burnish.specs.evals.measuring import MeasuringSpec as MeasuringSpec
from burnish.specs.evals.scorers import ChrfSpec as ChrfSpec
from burnish.specs.evals.scorers import ContainsSpec as ContainsSpec
from burnish.specs.evals.scorers import CustomScorerSpec as CustomScorerSpec
from burnish.specs.evals.scorers import ExactMatchSpec as ExactMatchSpec
from burnish.specs.evals.scorers import JsonSpec as JsonSpec
from burnish.specs.evals.scorers import LanguageScoreSpec as LanguageScoreSpec
from burnish.specs.evals.scorers import MultipleChoiceSpec as MultipleChoiceSpec
from burnish.specs.evals.scorers import NumberSpec as NumberSpec
from burnish.specs.evals.scorers import RegexSpec as RegexSpec
from burnish.specs.evals.scorers import RougeSpec as RougeSpec
from burnish.specs.evals.scorers import Scorer as Scorer
from burnish.specs.evals.scorers import ToolCallSpec as ToolCallSpec
from burnish.specs.evals.scorers import compiled as compiled
from burnish.specs.evals.tasks import TaskSpec as TaskSpec
from burnish.specs.evals.tasks import TasksSpec as TasksSpec
