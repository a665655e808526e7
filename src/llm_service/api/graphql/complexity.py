"""How deep, how wide and how dear a document is, found in one walk before it is validated.

Validation compares every field with every other of the same name, and every fragment with every other, so what it is
given has to be small. A fragment is measured once, however often it is used.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from llm_service.api.graphql.costs import TENTHS, tenths_below, tenths_of
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.domain import DocumentTooComplex, InvalidDocument, fact_in_order

MAX_FRAGMENTS: Final = 32
MAX_DIRECTIVES: Final = 64
MAX_OPERATIONS: Final = 32
MAX_SAME: Final = 30
"""How often a field of one name may stand in an operation, on one type: 240 times took validation 0.2 s."""
MAX_DIGITS: Final = 9
INTROSPECTION_DEPTH: Final = 20
"""Levels below ``__schema`` and ``__type``, whose standard query has 13."""


class Measure(NamedTuple):
    """Levels of fields, aliases and cost, in tenths, of a selection."""

    depth: int = 0
    aliases: int = 0
    tenths: int = 0


@fact_in_order
class _Place:
    """Where a selection stands: on which type (``None``: an unknown one), how deep, and whether in introspection."""

    type: GraphQLNamedType | None
    depth: int = 0
    introspects: bool = False


def cost_in(
    document: DocumentNode, schema: GraphQLSchema, options: GraphqlOptions, variables: Mapping[str, Any]
) -> int:
    """What the dearest operation of the document costs.

    Raises DocumentTooComplex where the document goes beyond one of the bounds, and InvalidDocument for fragments that
    go round in a circle.
    """
    return _Walk(document, schema, options, variables).cost()


class _Walk:
    def __init__(
        self, document: DocumentNode, schema: GraphQLSchema, options: GraphqlOptions, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._options = options
        self._variables = variables
        self._defaults: dict[str, Any] = {}
        self._directives = 0
        self._same: Counter[tuple[str, str]] = Counter()
        self._operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        named = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        self._fragments = {one.name.value: one for one in named}
        self._measured: dict[tuple[str, bool], Measure] = {}
        self._open: set[str] = set()
        self._within(len(named), MAX_FRAGMENTS, "fragments")
        self._within(len(self._operations), MAX_OPERATIONS, "operations")

    def cost(self) -> int:
        dearest = max((self._operation(one).tenths for one in self._operations), default=0)
        for name, fragment in self._fragments.items():  # validation looks at those too that nothing uses
            introspects = fragment.type_condition.name.value.startswith("__")
            self._same.clear()
            self._measured.clear()
            self._spread(name, _Place(None, introspects=introspects))
        return -(-dearest // TENTHS)

    def _operation(self, operation: OperationDefinitionNode) -> Measure:
        self._note_directives(operation)
        self._defaults = {
            one.variable.name.value: _whole(one.default_value)
            for one in operation.variable_definitions or ()
            if isinstance(one.default_value, IntValueNode)
        }
        self._measured.clear()  # variables have other values here
        self._same.clear()
        measure = self._selection(operation.selection_set, _Place(self._schema.get_root_type(operation.operation)))
        self._within(measure.aliases, self._options.max_aliases, "aliases")
        return measure

    def _selection(self, selection: SelectionSetNode | None, place: _Place) -> Measure:
        depth, aliases, tenths = 0, 0, 0
        for node in () if selection is None else selection.selections:
            self._note_directives(node)
            if isinstance(node, FieldNode):
                below = self._field(node, place)
            elif isinstance(node, FragmentSpreadNode):
                below = self._spread(node.name.value, place)
            else:
                below = self._inline(node, place)  # type: ignore[arg-type]  # there is no fourth kind
            depth, aliases, tenths = max(depth, below.depth), aliases + below.aliases, tenths + below.tenths
        return Measure(depth, aliases, tenths)

    def _field(self, node: FieldNode, place: _Place) -> Measure:
        name = node.name.value
        path = f"{place.type}.{name}"
        told_as = name if node.alias is None else node.alias.value
        self._same[str(place.type), told_as] += 1
        self._within(self._same[str(place.type), told_as], MAX_SAME, "fields of one name")
        introspects = place.introspects or name in ("__schema", "__type")
        depth = 1 if introspects and not place.introspects else place.depth + 1
        self._within(depth, INTROSPECTION_DEPTH if introspects else self._options.max_depth, "levels of fields")
        field = None if place.type is None else getattr(place.type, "fields", {}).get(name)
        of_type = None if field is None else get_named_type(field.type)
        below = self._selection(node.selection_set, _Place(of_type, depth, introspects))
        own = 0 if place.introspects else tenths_of(path, has_fields=node.selection_set is not None)
        aliases = below.aliases + (node.alias is not None)
        if introspects and not place.introspects:
            return Measure(1, aliases, own)
        paged = field is not None and "first" in field.args
        first = self._first(node) if paged else None
        return Measure(below.depth + 1, aliases, own + tenths_below(path, below.tenths, paged=paged, first=first))

    def _inline(self, node: InlineFragmentNode, place: _Place) -> Measure:
        condition = node.type_condition
        of_type = place.type if condition is None else self._schema.get_type(condition.name.value)
        return self._selection(node.selection_set, _Place(of_type, place.depth, place.introspects))

    def _spread(self, name: str, place: _Place) -> Measure:
        fragment = self._fragments.get(name)
        if fragment is None:
            return Measure()  # validation says so
        if name in self._open:
            raise InvalidDocument(f"The fragment '{name[:64]}' is a part of itself.")
        key = name, place.introspects
        measured = self._measured.get(key)
        if measured is None:
            self._open.add(name)
            of_type = self._schema.get_type(fragment.type_condition.name.value)
            measured = self._selection(fragment.selection_set, _Place(of_type, place.depth, place.introspects))
            self._open.discard(name)
            self._measured[key] = measured
        most = INTROSPECTION_DEPTH if place.introspects else self._options.max_depth
        self._within(place.depth + measured.depth, most, "levels of fields")
        return measured

    def _first(self, node: FieldNode) -> object:
        """The length of the page that is asked for: ``None`` where the document leaves that to the schema."""
        for argument in node.arguments or ():
            value = argument.value
            if argument.name.value != "first":
                continue
            if isinstance(value, IntValueNode):
                return _whole(value)
            if isinstance(value, VariableNode):
                name = value.name.value
                return self._variables.get(name, self._defaults.get(name))
        return None

    def _note_directives(self, node: Any) -> None:
        self._directives += len(node.directives or ())
        self._within(self._directives, MAX_DIRECTIVES, "directives")

    def _within(self, count: int, most: int, what: str) -> None:
        if count > most:
            raise DocumentTooComplex(f"The document has more {what} than the {most} that are allowed.")


def _whole(node: IntValueNode) -> int:
    return int(node.value[:MAX_DIGITS])
