// The oracle of server-side apply: runs sequences of operations through structured-merge-diff, the library of Kubernetes' own
// API server, and answers what it makes of them.
//
// Reads one sequence per line from standard input, as JSON:
//
//	{"schema": <its schema>, "type": "root", "versions": ["v1"], "ignored": [["status"]], "stripped": [["kind"]],
//	 "steps": [{"op": "apply"|"update", "manager": "m", "version": "v1", "object": {…}, "force": false}]}
//
// and answers one line for each: a list of what the live object and its managers are after each step, or which error or which
// conflicts it ended with (the step then changed nothing). All versions see the object alike; a version that is not listed is missing.
// Managers are kept as an API server keeps them: by name and operation, and of updates by version.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"sigs.k8s.io/structured-merge-diff/v4/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v4/merge"
	"sigs.k8s.io/structured-merge-diff/v4/typed"
)

type step struct {
	Op      string      `json:"op"`
	Manager string      `json:"manager"`
	Version string      `json:"version"`
	Object  interface{} `json:"object"`
	Force   bool        `json:"force"`
}

type sequence struct {
	Schema   json.RawMessage `json:"schema"`
	Type     string          `json:"type"`
	Versions []string        `json:"versions"`
	Ignored  [][]string      `json:"ignored"`
	Stripped [][]string      `json:"stripped"`
	Steps    []step          `json:"steps"`
}

type outcome struct {
	Error     string                     `json:"error,omitempty"`
	Conflicts []string                   `json:"conflicts,omitempty"`
	Live      interface{}                `json:"live"`
	Managers  map[string]json.RawMessage `json:"managers"`
}

type versions map[string]bool

type missingVersion struct{}

func (missingVersion) Error() string { return "no such version" }

func (known versions) Convert(object *typed.TypedValue, version fieldpath.APIVersion) (*typed.TypedValue, error) {
	if !known[string(version)] {
		return nil, missingVersion{}
	}
	return object, nil
}

func (versions) IsMissingVersionError(err error) bool {
	_, missing := err.(missingVersion)
	return missing
}

func setOf(paths [][]string) *fieldpath.Set {
	set := fieldpath.NewSet()
	for _, path := range paths {
		parts := make([]interface{}, len(path))
		for i, name := range path {
			parts[i] = name
		}
		set.Insert(fieldpath.MakePathOrDie(parts...))
	}
	return set
}

// What a decoder leaves of an object: members that are null are absent.
func withoutNulls(value interface{}) interface{} {
	switch value := value.(type) {
	case map[string]interface{}:
		for name, member := range value {
			if member == nil {
				delete(value, name)
			} else {
				value[name] = withoutNulls(member)
			}
		}
	case []interface{}:
		for i, item := range value {
			value[i] = withoutNulls(item)
		}
	}
	return value
}

// The key under which an API server keeps a manager.
func identity(s step) string {
	if s.Op == "apply" {
		return s.Manager + " Apply"
	}
	return s.Manager + " Update " + s.Version
}

const current = "current-operation"

func run(s sequence) ([]outcome, error) {
	parser, err := typed.NewParser(typed.YAMLObject(s.Schema))
	if err != nil {
		return nil, err
	}
	parseable := parser.Type(s.Type)
	known := versions{}
	updater := &merge.Updater{IgnoredFields: map[fieldpath.APIVersion]*fieldpath.Set{}}
	ignored := setOf(s.Ignored)
	for _, version := range s.Versions {
		known[version] = true
		updater.IgnoredFields[fieldpath.APIVersion(version)] = ignored
	}
	updater.Converter = known
	stripped := setOf(s.Stripped)

	live, err := parseable.FromUnstructured(map[string]interface{}{})
	if err != nil {
		return nil, err
	}
	managers := fieldpath.ManagedFields{}
	outcomes := []outcome{}
	for _, each := range s.Steps {
		now, next, err := take(updater, parseable, live, managers.Copy(), each)
		answer := outcome{Managers: map[string]json.RawMessage{}}
		if conflicts, ok := err.(merge.Conflicts); ok {
			answer.Conflicts, err = conflictTexts(updater, parseable, live, managers, each, ignored)
			if err != nil {
				return nil, err
			}
			if len(answer.Conflicts) != len(conflicts) {
				return nil, fmt.Errorf("%d conflicts, but %d paths", len(conflicts), len(answer.Conflicts))
			}
		} else if err != nil {
			answer.Error = err.Error()
		} else {
			live, managers = now, next
			if own, ok := managers[identity(each)]; ok {
				set := own.Set().Difference(stripped)
				if set.Empty() {
					delete(managers, identity(each))
				} else {
					managers[identity(each)] = fieldpath.NewVersionedSet(set, own.APIVersion(), own.Applied())
				}
			}
		}
		for name, manager := range managers {
			set, err := manager.Set().ToJSON()
			if err != nil {
				return nil, err
			}
			text, err := json.Marshal([]interface{}{string(manager.APIVersion()), manager.Applied(), string(set)})
			if err != nil {
				return nil, err
			}
			answer.Managers[name] = text
		}
		answer.Live = live.AsValue().Unstructured()
		outcomes = append(outcomes, answer)
	}
	return outcomes, nil
}

// The conflicts of an apply, from the library's own comparison: the paths in its error share memory and overwrite each other.
func conflictTexts(updater *merge.Updater, parseable typed.ParseableType, live *typed.TypedValue, managers fieldpath.ManagedFields, s step, ignored *fieldpath.Set) ([]string, error) {
	object, err := parseable.FromUnstructured(s.Object)
	if err != nil {
		return nil, err
	}
	merged, _, err := updater.Apply(live, object, fieldpath.APIVersion(s.Version), managers.Copy(), identity(s), true)
	if err != nil {
		return nil, err
	}
	change, err := live.Compare(merged)
	if err != nil {
		return nil, err
	}
	change = change.ExcludeFields(ignored)
	texts := []string{}
	for name, manager := range managers {
		if name == identity(s) || !updater.Converter.(versions)[string(manager.APIVersion())] {
			continue
		}
		manager.Set().Intersection(change.Modified.Union(change.Added)).Iterate(func(path fieldpath.Path) {
			texts = append(texts, name+": "+path.String())
		})
	}
	sort.Strings(texts)
	return texts, nil
}

func take(updater *merge.Updater, parseable typed.ParseableType, live *typed.TypedValue, managers fieldpath.ManagedFields, s step) (*typed.TypedValue, fieldpath.ManagedFields, error) {
	object, err := parseable.FromUnstructured(s.Object)
	if err != nil {
		return nil, nil, err
	}
	version := fieldpath.APIVersion(s.Version)
	if s.Op == "apply" {
		merged, next, err := updater.Apply(live, object, version, managers, identity(s), s.Force)
		if err != nil {
			return nil, nil, err
		}
		if merged == nil {
			return live, next, nil
		}
		clean, err := decoded(parseable, merged)
		return clean, next, err
	}
	updated, next, err := updater.Update(live, object, version, managers, current)
	if err != nil {
		return nil, nil, err
	}
	if own, ok := next[current]; ok {
		delete(next, current)
		set := own.Set()
		if previous, ok := next[identity(s)]; ok {
			set = set.Union(previous.Set())
		}
		next[identity(s)] = fieldpath.NewVersionedSet(set, own.APIVersion(), false)
	}
	clean, err := decoded(parseable, updated)
	return clean, next, err
}

func decoded(parseable typed.ParseableType, object *typed.TypedValue) (*typed.TypedValue, error) {
	value := withoutNulls(object.AsValue().Unstructured())
	if value == nil {
		value = map[string]interface{}{}
	}
	return parseable.FromUnstructured(value)
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(make([]byte, 1<<20), 1<<26)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		var s sequence
		var answer interface{}
		err := json.Unmarshal(input.Bytes(), &s)
		if err == nil {
			answer, err = run(s)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "apply oracle: %v\n", err)
			os.Exit(1)
		}
		if err := json.NewEncoder(output).Encode(answer); err != nil {
			fmt.Fprintf(os.Stderr, "apply oracle: %v\n", err)
			os.Exit(1)
		}
	}
}
