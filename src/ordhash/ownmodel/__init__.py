"""A model for a collection: the general one, or one learned from its own photographs."""

from ordhash.ownmodel.general import GENERAL_NETWORK, fit_general, general_model
from ordhash.ownmodel.learning import LearningPlan, learn_labels, sync_without_model

__all__ = ["GENERAL_NETWORK", "LearningPlan", "fit_general", "general_model", "learn_labels", "sync_without_model"]
