"use strict";
// Tell the server the time zone in which times are read; a page that was made without is made again.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = `emitonce_zone=${zone}`;
  const known = () => document.cookie.split("; ").includes(told);
  if (!zone || known()) return;
  document.cookie = `${told}; Path=/; Max-Age=31536000; SameSite=Strict`;
  if ("again" in document.currentScript.dataset && known()) location.reload();
})();
