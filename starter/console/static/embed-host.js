// Shows embedded pages in a page of yours:
//
//   const embed = emitonceEmbed(element, {
//     launchUrl, accessToken,            // of a session that your backend has just created
//     refresh: async () => accessToken,  // has your backend refresh the session
//     theme: { accent: "#6d28d9", radius: "12px", font: "Inter", dark: false },
//     minHeight: 480, maxHeight: 2000,   // in pixels
//     onNavigate({ page, path }) {}, onExpired() {},
//     onFailed() {},                     // nothing is shown: a launch URL that is late or was used
//   });
//   embed.remove();
"use strict";
globalThis.emitonceEmbed = function (element, options) {
  const { launchUrl, refresh, theme = {}, minHeight = 480, maxHeight = Infinity } = options;
  const { origin } = new URL(launchUrl);
  const frame = document.createElement("iframe");
  let token = options.accessToken;

  const failed = setTimeout(() => options.onFailed?.(), 15_000);
  const authorize = () => frame.contentWindow?.postMessage({ type: "meshes:auth", token }, origin);

  const on = {
    "meshes:ready"() {
      clearTimeout(failed);
      authorize();
    },
    async "meshes:token-refresh"() {
      try {
        token = await refresh();
        authorize();
      } catch (error) {
        console.error("the session was not refreshed", error); // the page says that it has ended
      }
    },
    "meshes:token-expired": () => options.onExpired?.(),
    "meshes:navigate"(said) {
      if (frame.getBoundingClientRect().top < 0) frame.scrollIntoView();
      options.onNavigate?.(said);
    },
    "meshes:resize"({ height }) {
      if (Number.isFinite(height)) frame.style.height = `${Math.min(Math.max(height, minHeight), maxHeight)}px`;
    },
  };

  function hear({ source, origin: from, data }) {
    if (source !== frame.contentWindow || from !== origin) return;
    if (Object.hasOwn(on, data?.type)) on[data.type](data);
  }

  addEventListener("message", hear);
  frame.title = options.title ?? "Integrations";
  frame.referrerPolicy = "origin";
  frame.sandbox = "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox";
  frame.style.cssText = `display: block; width: 100%; border: 0; height: ${minHeight}px`;
  frame.src = `${launchUrl}#${encodeURIComponent(JSON.stringify(theme))}`;
  element.append(frame);
  return {
    frame,
    remove() {
      clearTimeout(failed);
      removeEventListener("message", hear);
      frame.remove();
    },
  };
};
