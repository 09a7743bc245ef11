/**
 * Progress of analyses, folded from events in whatever order their topics bring them.
 *
 * @typedef {{id: string, project: string, name: string, total: (number|null), done: number,
 *   failed: number, lines: number, functions: number, classes: number, complete: boolean,
 *   changedAt: number}} Analysis
 */

export class Progress {
  constructor() {
    /** @type {Map<string, Analysis>} */
    this.analyses = new Map();
    this.totals = { files: 0, functions: 0, classes: 0, lines: 0, failed: 0 };
  }

  /** Take in an event of `analysis.*`. */
  apply(event) {
    if (typeof event.data?.analysisId !== 'string') return;
    const analysis = this.analysis(event.data);
    analysis.changedAt = event.position.time;
    if (event.type === 'analysis.file.processed') this.fileProcessed(analysis, event.data);
    if (event.type === 'analysis.started' || event.type === 'analysis.completed') {
      analysis.name = event.data.package ?? analysis.name;
      analysis.total = event.data.files ?? analysis.total;
    }
    if (event.type === 'analysis.completed') {
      analysis.complete = true;
      // Why a file failed is not broadcast; how many did comes with the end of an analysis.
      analysis.failed = event.data.failed ?? 0;
      this.totals.failed += analysis.failed;
    }
  }

  /** Per project: files known and done, analyses running and complete; by name. */
  projects() {
    const projects = new Map();
    for (const analysis of this.analyses.values()) {
      const project = projects.get(analysis.project)
        ?? { name: analysis.project, total: 0, done: 0, running: 0, complete: 0 };
      project.total += analysis.total ?? analysis.done;
      project.done += analysis.done;
      project[isComplete(analysis) ? 'complete' : 'running'] += 1;
      projects.set(analysis.project, project);
    }
    return [...projects.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Running analyses first, then those that completed last; at most `limit`. */
  newest(limit) {
    return [...this.analyses.values()]
      .sort((a, b) => isComplete(a) - isComplete(b) || b.changedAt - a.changedAt)
      .slice(0, limit);
  }

  /** How many analyses are running and complete. */
  counts() {
    let complete = 0;
    for (const analysis of this.analyses.values()) complete += isComplete(analysis);
    return { complete, running: this.analyses.size - complete };
  }

  analysis(data) {
    let analysis = this.analyses.get(data.analysisId);
    if (!analysis) {
      analysis = {
        id: data.analysisId, project: data.projectId ?? '', name: data.analysisId, total: null,
        done: 0, failed: 0, lines: 0, functions: 0, classes: 0, complete: false, changedAt: 0,
      };
      this.analyses.set(data.analysisId, analysis);
    }
    return analysis;
  }

  fileProcessed(analysis, data) {
    analysis.done += 1;
    this.totals.files += 1;
    for (const field of ['functions', 'classes', 'lines']) {
      analysis[field] += data[field] ?? 0;
      this.totals[field] += data[field] ?? 0;
    }
  }
}

/** Whether every file is in: the closing event may overtake the last files. */
export function isComplete(analysis) {
  return analysis.complete && analysis.done >= (analysis.total ?? 0);
}
