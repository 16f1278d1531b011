// Others' emulator of the providers (npm @copilotkit/aimock), told what to answer. `make providers` runs it.
//
//     node emulator.mjs NODE_MODULES PORT [LATENCY_MS]
//
// A question that holds "CASE name" is answered as that case; one with evidence gets a summary of its first term.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [modules, port, latency] = process.argv.slice(2);
const { LLMock } = await import(pathToFileURL(join(modules, "@copilotkit/aimock/dist/index.js")).href);

const text = (message) =>
  typeof message.content === "string" ? message.content : (message.content ?? []).map((part) => part.text ?? "").join("");
const summary = (evidence) => {
  const found = /^\[([^\]]+)\] (.+?);(?! NOT SIGNIFICANT) q = (\S+?)(?:,|;).*?genes.*?: (.*?)(?: \(and.*)?$/m.exec(evidence);
  const themes = found
    ? [{ name: found[2], statement: `q = ${found[3]}`, term_ids: [found[1]], genes: found[4].split(", ") }]
    : [];
  return {
    title: found ? found[2] : "Nothing in common", summary: "By an emulator.", coherence: found ? "coherent" : "unrelated",
    themes, not_explained: [], tags: [], confidence: "low", confidence_reason: "By an emulator.",
  };
};
const usage = { input_tokens: 120, output_tokens: 40, prompt_tokens: 120, completion_tokens: 40, promptTokenCount: 120,
  candidatesTokenCount: 40, total_tokens: 160, totalTokenCount: 160 };
const says = (request, value, more = {}) => {
  const tool = request.tools?.[0]?.function?.name;
  return tool ? { toolCalls: [{ name: tool, arguments: value }], usage, ...more }
    : { content: typeof value === "string" ? value : JSON.stringify(value), usage, ...more };
};
const CASES = {
  answer: (request) => says(request, { claim: 1, verdict: "supported", reason: "it is there" }),
  throttled: () => ({ error: { message: "Rate limit reached", type: "rate_limit_error" }, status: 429, retryAfter: 7 }),
  overloaded: () => ({ error: { message: "The engine is overloaded", type: "server_error" }, status: 503 }),
  truncated: () => ({ content: '{"claim": 1, "verd', finishReason: "length", usage }),
  refused: (request) => ({
    content: "I will not.", finishReason: request.model.startsWith("claude") ? "refusal" : "content_filter", usage,
  }),
  malformed: () => ({ content: '{"claim" => 1}', usage }),
  unauthorised: () => ({ error: { message: "Incorrect API key", type: "authentication_error" }, status: 401 }),
  unknown: () => ({ error: { message: "The model does not exist", type: "not_found_error", code: "model_not_found" }, status: 404 }),
  quota: () => ({ error: { message: "You exceeded your current quota", type: "insufficient_quota", code: "insufficient_quota" },
    status: 429 }),
};

const mock = new LLMock({ port: Number(port), host: "127.0.0.1", journalMaxEntries: 5000 });
const wait = () => new Promise((done) => setTimeout(done, Number(latency ?? 0)));
mock.addFixture({
  match: { userMessage: "CASE disconnect" }, response: { content: "never", usage }, chaos: { disconnectRate: 1 },
});
mock.addFixture({
  match: {},
  response: async (request) => {
    const asked = request.messages.map(text).join("\n");
    const named = /CASE (\w+)/.exec(asked);
    if (Number(latency)) await wait();
    return named ? CASES[named[1]](request) : says(request, summary(asked));
  },
});
await mock.start();
console.log(`listening at ${port}`);
